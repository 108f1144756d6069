// Dialogs: the browser's own, which keeps the focus inside and gives it back.

import { html, useEffect, useRef } from "./view.js";

export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useEffect(() => {
    const dialog = element.current;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return html`<dialog
    ref=${element}
    aria-labelledby="dialog-title"
    onCancel=${(event) => {
      event.preventDefault();
      onClose();
    }}
    onClick=${(event) => event.target === element.current && onClose()}
  >
    <div class="dialog-body">
      <header><h2 id="dialog-title">${title}</h2><button class="icon" aria-label="Close" onClick=${onClose}>×</button></header>
      ${children}
    </div>
  </dialog>`;
}
