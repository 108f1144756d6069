// The server's REST interface: requests, problems and the token.

import { Value } from "./value.js";

const TOKEN = "tinytown.token";

/** Why the server refused: its title, its words, and its facts. */
export class Problem extends Error {
  constructor(status, facts) {
    super(facts.detail || facts.title || `The server answered with ${status}.`);
    this.status = status;
    this.title = facts.title || "Refused";
    this.facts = facts;
  }
}

/** True once the server asked for a token. */
export const needsToken = new Value(false);
let root = "/api/v1";

export function useTown(name) {
  root = name ? `/api/v1/towns/${encodeURIComponent(name)}` : "/api/v1";
}

export function giveToken(token) {
  sessionStorage.setItem(TOKEN, token);
  needsToken.set(false);
}

export function urlOf(path, pairs = []) {
  const query = new URLSearchParams(pairs.filter(([, value]) => value !== null && value !== undefined && value !== ""));
  return `${root}${path}${query.size ? `?${query}` : ""}`;
}

export function headersOf(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

/** What the server answers at a path. Problem. */
export async function get(path, pairs = [], { signal } = {}) {
  return bodyOf(await send(urlOf(path, pairs), { headers: headersOf(), signal }));
}

/** The towns of the server. Problem. */
export async function getTowns(signal) {
  return (await bodyOf(await send("/api/v1/towns", { headers: headersOf(), signal }))).towns;
}

/** Send a command: `version` is what it was decided on, and `key` is the command's id, the same in every repetition. */
export async function command(path, body, { version, key, method = "POST" }) {
  const headers = headersOf({ "Content-Type": "application/json", "Idempotency-Key": key });
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  return bodyOf(await send(urlOf(path), { method, headers, body: JSON.stringify(body) }));
}

/** A new id for a command. */
export function commandId() {
  const digit = (each) => (each ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (each / 4)))).toString(16);
  return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, digit);
}

/** Throws what the server says if it refused. */
export async function refuse(response) {
  const text = await response.text();
  let facts = {};
  try {
    facts = JSON.parse(text);
  } catch {
    facts = { title: response.statusText, detail: text.slice(0, 500) };
  }
  if (response.status === 401) needsToken.set(true);
  throw new Problem(response.status, facts);
}

async function send(url, options) {
  try {
    return await fetch(url, { cache: "no-store", credentials: "omit", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "No connection", detail: "The server does not answer. Is tt serve still running?" });
  }
}

async function bodyOf(response) {
  if (!response.ok) await refuse(response);
  return response.status === 204 ? null : response.json();
}
