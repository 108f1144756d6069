// Server-sent events, as text comes in pieces: the lines, the fields, the messages. Pure.
// The browser's own EventSource cannot send a token in a header, and a token never stands in an address.

export class EventStreamParser {
  #rest = "";
  #message = blank();

  /** The messages that this piece completes: each with `event`, `data` and `id`. */
  feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    const messages = [];
    for (const line of lines) {
      const found = this.#take(line.endsWith("\r") ? line.slice(0, -1) : line);
      if (found) messages.push(found);
    }
    return messages;
  }

  #take(line) {
    if (line === "") return this.#finish();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#message.data.push(value);
    if (field === "event") this.#message.event = value;
    if (field === "id") this.#message.id = value;
    return null;
  }

  #finish() {
    const { event, data, id } = this.#message;
    this.#message = blank();
    return data.length ? { event, id, data: data.join("\n") } : null;
  }
}

function blank() {
  return { event: "message", data: [], id: null };
}
