// Markdown: texts of tasks as HTML, by markdown-it. HTML in them stays text, and links lead to http and https alone.

import "./vendor/markdown-it.min.js";
import { useLayoutEffect, useRef, html } from "./view.js";
import { visible } from "./words.js";

const CHARS_MAX = 64 << 10;
const LINK = /^https?:\/\//i;
const ALIGN = /text-align:\s*(left|center|right)/;

const markdown = globalThis.markdownit({ html: false, linkify: true, breaks: true, typographer: false });
markdown.validateLink = (url) => LINK.test(url.trim());
// A picture would be loaded from somewhere else; its link says what it is.
markdown.disable("image");

// The page's rules allow no style in the markup, so cells are aligned by a class.
for (const name of ["th_open", "td_open"]) {
  markdown.renderer.rules[name] = (tokens, index, options, _, self) => {
    const align = ALIGN.exec(tokens[index].attrGet("style") ?? "");
    tokens[index].attrs = align ? [["class", `align-${align[1]}`]] : null;
    return self.renderToken(tokens, index, options);
  };
}
markdown.renderer.rules.link_open = (tokens, index, options, _, self) => {
  tokens[index].attrSet("rel", "noopener noreferrer nofollow");
  tokens[index].attrSet("target", "_blank");
  return self.renderToken(tokens, index, options);
};
// The page has headings of its own; those of a text begin below them.
for (const name of ["heading_open", "heading_close"]) {
  markdown.renderer.rules[name] = (tokens, index, options, _, self) => {
    tokens[index].tag = `h${Math.min(Number(tokens[index].tag.slice(1)) + 2, 6)}`;
    return self.renderToken(tokens, index, options);
  };
}

export function Markdown({ text }) {
  const place = useRef(null);
  useLayoutEffect(() => {
    place.current.innerHTML = markdown.render(visible(text.slice(0, CHARS_MAX)));
    for (const wide of place.current.querySelectorAll("pre, table")) wide.tabIndex = 0;
  }, [text]);
  return html`<div class="markdown" ref=${place}></div>`;
}
