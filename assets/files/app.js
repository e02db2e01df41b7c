// Conveniences only: every page works without this file.
(() => {
  "use strict";

  const announce = (text) => {
    const region = document.getElementById("announce");
    if (region) region.textContent = text;
  };

  // Copy buttons: data-copy holds the text, data-copied what to say.
  const copied = (button) => {
    button.classList.add("copied");
    announce(button.dataset.copied || "");
    setTimeout(() => button.classList.remove("copied"), 1600);
  };
  const selectBeside = (button) => {
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    // Plain HTTP has no clipboard: then the text is selected instead.
    if (!navigator.clipboard) return selectBeside(button);
    navigator.clipboard.writeText(button.dataset.copy).then(() => copied(button), () => selectBeside(button));
  });

  // "/" goes to the search field, unless one is typing.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const search = document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  // A form is sent once; a second click while it is on its way does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method === "get" || form.method === "dialog") return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("button[type=submit]")) button.setAttribute("aria-busy", "true");
  });
  const ready = (form) => {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  };
  // The page comes back from the browser's cache: its forms may be sent again.
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(ready));

  // A file is sent with a bar that tells how far it is. The answer is where to
  // go on, or the main part of the page with what was wrong.
  const sendFile = (form) => {
    const progress = form.querySelector(".upload-progress");
    const bar = progress.querySelector("progress");
    const failed = form.querySelector(".upload-failed");
    const request = new XMLHttpRequest();
    const stop = () => {
      progress.hidden = true;
      ready(form);
    };
    request.upload.addEventListener("progress", (event) => {
      if (!event.lengthComputable) return;
      bar.max = event.total;
      bar.value = event.loaded;
      progress.querySelector(".upload-amount").textContent = Math.floor((event.loaded / event.total) * 100) + " %";
    });
    request.addEventListener("load", () => {
      const path = request.getResponseHeader("HX-Redirect");
      if (path) return location.assign(path);
      const main = new DOMParser().parseFromString(request.responseText, "text/html").getElementById("main");
      if (main) document.getElementById("main").replaceWith(main);
      settle(document);
    });
    request.addEventListener("abort", stop);
    request.addEventListener("error", () => {
      stop();
      failed.textContent = form.dataset.failed;
      failed.hidden = false;
    });
    form.querySelector("[data-cancel]").onclick = () => request.abort();
    failed.hidden = true;
    progress.hidden = false;
    bar.removeAttribute("value");
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.setRequestHeader("HX-Request-Type", "partial");
    request.send(new FormData(form));
  };
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || !event.target.matches("[data-upload]")) return;
    event.preventDefault();
    sendFile(event.target);
  });

  // Selects that reload a list do so when they change; others have a button.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  // Toasts go after a while, but not while one reads or tabs in them.
  const fade = (toast) => {
    if (toast.dataset.seen) return;
    toast.dataset.seen = "yes";
    const go = () => (toast.matches(":hover, :focus-within") ? setTimeout(go, 2000) : toast.remove());
    setTimeout(go, 6000);
  };
  document.addEventListener("click", (event) => {
    const close = event.target.closest("[data-dismiss]");
    if (close) close.closest(".alert").remove();
  });

  // Dialogs open by command and commandfor; older browsers need a hand.
  if (!("commandForElement" in HTMLButtonElement.prototype)) {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("button[commandfor]");
      const dialog = button && document.getElementById(button.getAttribute("commandfor"));
      if (!dialog) return;
      if (button.getAttribute("command") === "show-modal") dialog.showModal();
      if (button.getAttribute("command") === "close") dialog.close();
    });
  }

  // The current tab is in view where there is no room for all.
  const showTab = (root) => {
    for (const tab of root.querySelectorAll(".tab[aria-current]")) {
      const bar = tab.parentElement;
      if (tab.offsetLeft + tab.offsetWidth > bar.clientWidth - 36) bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - 36;
    }
  };

  // After a part was exchanged, focus goes to what asks for it.
  const settle = (root) => {
    root.querySelectorAll("form[data-sent]").forEach(ready);
    root.querySelectorAll("[data-toast]").forEach(fade);
    showTab(root);
    const wanted = root.querySelector("[data-focus]");
    if (wanted && wanted !== document.activeElement) wanted.focus();
  };
  document.addEventListener("htmx:after:swap", () => settle(document));
  settle(document);
})();
