// The address for a text of the search box: that of the device with this id, or else of the list of devices with it in their ids.

import { get, pathOf } from "./api.js";
import { devicePath } from "./columns.js";
import { listAddress } from "./list.js";

const MOST_LIKE_IT = 1000;

/** The device of this id among those that are like it: in the case that was typed, else in another, if that is one id. */
function sameAs(id, items) {
  const same = items.filter((item) => item.deviceId.toLowerCase() === id.toLowerCase());
  const typed = same.filter((item) => item.deviceId === id);
  const found = typed.length ? typed : same;
  if (new Set(found.map((item) => item.deviceId)).size !== 1) return null;
  return found.find((item) => item.kind === "vehicle") ?? found[0];
}

/** The vehicle, or else the meter, of exactly this id; null without one. */
async function ask(id) {
  for (const kind of ["vehicle", "meter"]) {
    try {
      await get(pathOf(`/v1/status/${kind}`, id));
      return { kind, deviceId: id };
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }
  return null;
}

/** The address of what was typed. Where the service does not answer, it is that of the list, which says so. */
export async function addressOf(text) {
  try {
    const { items, next } = await get("/v1/devices", { search: text, limit: MOST_LIKE_IT });
    const device = sameAs(text, items) ?? (next ? await ask(text) : null);
    if (device) return devicePath(device.kind, device.deviceId);
  } catch {
    // the list asks again
  }
  return listAddress("devices", { search: text });
}
