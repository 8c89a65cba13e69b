// Client of the HTTP API. A key lives as long as this tab, and never stands in an address.

const KEY = "energy.key";

/** An error answer of the service; status 0: no answer. */
export class ApiError extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Send a GET, or a POST of `body`, a JSON text; the answer comes with its headers, before its body. */
export async function open(path, options = {}) {
  const { body, signal } = options;
  const headers = { Accept: options.accept ?? "application/json", ...(body && { "Content-Type": "application/json" }) };
  if (hasKey()) headers.Authorization = `Bearer ${sessionStorage.getItem(KEY)}`;
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The service does not answer.");
  }
  if (response.ok) return response;
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // a proxy's page, most likely
  }
  throw new ApiError(response.status, problem.code ?? "http", problem.detail ?? `HTTP ${response.status}`);
}

export async function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(parameters).toString();
  const response = await open(query ? `${path}?${query}` : path, { signal });
  return response.json();
}

export async function post(path, value) {
  const response = await open(path, { body: JSON.stringify(value) });
  return response.json();
}

/** A path with an id in it. */
export const pathOf = (prefix, id) => `${prefix}/${encodeURIComponent(id)}`;
