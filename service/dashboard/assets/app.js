// Router of the dashboard: it shows the page that the address names. All pages share one live connection.

import { alertsPage } from "./alerts.js";
import { ApiError, hasKey, setKey } from "./api.js";
import { byId } from "./dom.js";
import { fleetPage } from "./fleet.js";
import * as format from "./format.js";
import { isList, listPage } from "./list.js";
import { listen } from "./live.js";
import { meterPage } from "./meter.js";
import { addressOf } from "./search.js";
import { sessionListPage } from "./session_list.js";
import * as states from "./states.js";
import { vehiclePage } from "./vehicle.js";

const RETRY_MS = [2000, 5000, 10_000, 30_000];

const main = byId("main");
let page = null;
let pageName = null;
let loading = new AbortController();
let failures = 0;
let retrying;
let stopListening = null;
let newest = null;

/** Show these elements; the focus stays in the content when it was there, and elsewhere otherwise. */
function show(...elements) {
  const hadFocus = main.contains(document.activeElement);
  main.replaceChildren(...elements);
  if (hadFocus) focusContent();
}

function focusContent() {
  main.focus({ preventScroll: true });
}

function close() {
  clearTimeout(retrying);
  loading.abort();
  loading = new AbortController();
  page?.leave();
  page = null;
  pageName = null;
}

function entitle(title) {
  document.title = `${title} · Energy`;
}

/** The page that the address names, and its name while it loads. */
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  let [kind, id] = path.split("/");
  try {
    id = decodeURIComponent(id ?? "");
  } catch {
    kind = "";  // not an address of ours
  }
  const parameters = new URLSearchParams(query);
  if (kind === "vehicle" && id) return { name: `vehicle ${id}`, id, section: "vehicles", parameters, open: (signal) => vehiclePage(signal, id, parameters) };
  if (kind === "meter" && id) return { name: `meter ${id}`, id, section: "meters", parameters, open: (signal) => meterPage(signal, id, parameters) };
  if (kind === "sessions") return { name: "the sessions", section: kind, open: (signal) => sessionListPage(signal, parameters) };
  if (kind === "alerts") return { name: "the alerts", section: kind, open: (signal) => alertsPage(signal, parameters) };
  if (isList(kind)) return { name: `the ${kind}`, section: kind, open: (signal) => listPage(signal, kind, parameters) };
  return { name: "the fleet", section: "", open: fleetPage };
}

function fail(error, id) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) return lock(hasKey());
  if (error.status === 403) return refuse();
  close();
  if (id && (error.status === 404 || error.status === 422)) {
    entitle(`Unknown device ${id}`);
    return show(states.notFound(id));
  }
  show(states.failed(error, navigate));
  retrying = setTimeout(navigate, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
}

/** Another range of the same device: its page stays where it is. */
async function showRange(parameters, id) {
  const { signal } = loading;
  try {
    await page.show(parameters);
  } catch (error) {
    if (!signal.aborted) fail(error, id);
  }
}

/** Mark the link of the navigation to which this page belongs. */
function markSection(section) {
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.hash === `#/${section}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function navigate() {
  const { name, id, section, open, parameters } = route();
  if (page?.show && pageName === name) return showRange(parameters, id);
  close();
  const { signal } = loading;
  markSection(section);
  show(states.loading(name));
  try {
    const opened = await open(signal);
    if (signal.aborted) return opened.leave();
    page = opened;
    pageName = name;
    failures = 0;
    entitle(page.title);
    show(page.element);
    if (newest) await page.pulse(newest);
  } catch (error) {
    if (!signal.aborted) fail(error, id);  // else another page is being opened
  }
}

function say(state, text) {
  const live = byId("live");
  live.dataset.state = state;
  if (live.textContent !== text) live.textContent = text;
}

async function onPulse(pulse) {
  const isFirstPulse = newest === null;
  newest = pulse;
  format.setZone(pulse.timeZone);
  byId("zone").textContent = `Times are those of ${pulse.timeZone.replaceAll("_", " ")}.`;
  say("live", "Live");
  if (isFirstPulse || main.querySelector('[data-kind="error"]')) return navigate();
  try {
    await page?.pulse(pulse);
  } catch (error) {
    // the page keeps its figures; the next pulse brings them up to date
    if (error.status === 401 || error.status === 403) fail(error);
  }
}

function onLost(error) {
  if (newest === null) fail(error instanceof ApiError ? error : new ApiError(0, "unreachable", error.message));
  say("lost", newest ? `Stale since ${format.seconds(new Date(newest.at))}` : "No connection");
}

function start() {
  stopListening?.();
  newest = null;
  byId("forget").hidden = !hasKey();
  say("wait", "Connecting");
  show(states.loading("the dashboard"));
  stopListening = listen({ pulse: onPulse, lost: onLost, refused: (error) => fail(error) });
}

function lock(wasRefused) {
  stopListening?.();
  close();
  setKey(null);
  byId("forget").hidden = true;
  say("wait", "Locked");
  show(states.askForKey((key) => {
    setKey(key);
    start();
  }, wasRefused));
  main.querySelector("input").focus();
}

function refuse() {
  stopListening?.();
  close();
  say("wait", "No access");
  show(states.noAccess(() => lock(false)));
}

byId("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const id = byId("device").value.trim();
  if (!id) return;
  focusContent();  // now: after the request somebody may be typing the next id
  location.hash = await addressOf(id);
});
byId("forget").addEventListener("click", () => lock(false));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();  // the part of the address behind # says which page this is
  main.focus();
});
window.addEventListener("hashchange", () => {
  const isAnother = !page?.show || route().name !== pageName;
  if (isAnother && document.activeElement !== byId("device")) focusContent();
  if (newest) navigate();
});
start();
