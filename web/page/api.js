// The server's REST interface: requests, problems, entity tags and the token.

import { Value } from "./value.js";

const TOKEN = "tinytown.token";
const KEPT_ANSWERS = 40;

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
const kept = new Map();
let root = "/api/v1";

export function useTown(name) {
  root = name ? `/api/v1/towns/${encodeURIComponent(name)}` : "/api/v1";
  kept.clear();
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

/** What the server answers at a path. An answer that did not change since is not sent again. Problem. */
export async function get(path, pairs = [], { signal } = {}) {
  const url = urlOf(path, pairs);
  const known = kept.get(url);
  const response = await send(url, { headers: headersOf(known ? { "If-None-Match": known.tag } : {}), signal });
  if (response.status === 304 && known) return known.body;
  const body = await bodyOf(response);
  const tag = response.headers.get("ETag");
  if (tag) keep(url, { tag, body });
  return body;
}

/** Send a command: `version` is what it was decided on, and `key` is the command's id, the same in every repetition. */
export async function command(path, body, { version, key, method = "POST" }) {
  const headers = headersOf({ "Content-Type": "application/json", "Idempotency-Key": key });
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  return bodyOf(await send(urlOf(path), { method, headers, body: JSON.stringify(body) }));
}

/** A new id for a command. */
export function commandId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
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

function keep(url, answer) {
  kept.delete(url);
  kept.set(url, answer);
  if (kept.size > KEPT_ANSWERS) kept.delete(kept.keys().next().value);
}
