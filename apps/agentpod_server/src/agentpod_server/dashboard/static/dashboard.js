// What makes pages nicer to use. All of them work without it.
(() => {
  "use strict";
  const language = document.documentElement.lang;
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  const STEPS = [[60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [Infinity, 86400, "day"]];

  // Times: as long ago as they are by now, and in the reader's own zone.
  function tellTimes(root) {
    for (const time of root.querySelectorAll("time[data-ago]")) {
      const then = new Date(time.dateTime);
      const seconds = (then - Date.now()) / 1000;
      const [, size, unit] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
      const text = Math.abs(seconds) < 5 ? relative.format(0, "second") : relative.format(Math.trunc(seconds / size), unit);
      if (time.textContent !== text) time.textContent = text;
      time.title = absolute.format(then);
    }
  }
  tellTimes(document);
  setInterval(() => tellTimes(document), 10000);
  document.addEventListener("htmx:afterSettle", () => tellTimes(document));

  // Rows: opening the blank one makes room for another.
  document.addEventListener("toggle", (event) => {
    const row = event.target;
    if (!(row instanceof HTMLDetailsElement) || !row.matches(".row.is-new") || !row.open) return;
    const list = row.closest("[data-rows]");
    if (list.querySelector(":scope > .row.is-new:not([open])")) return;
    const template = list.querySelector(":scope > template");
    const marks = [...list.querySelectorAll(":scope > .row > .row-body > input[type=hidden]:first-child")];
    const next = 1 + Math.max(-1, ...marks.map((mark) => Number(mark.value)));
    const name = list.dataset.rows;
    const html = template.innerHTML
      .replaceAll(`name="${name}.@rows" value="__row__"`, `name="${name}.@rows" value="${next}"`)
      .replaceAll(`${name}.__row__`, `${name}.${next}`);
    const made = document.createRange().createContextualFragment(html);
    template.before(made);
    row.querySelector(".row-body :is(input:not([type=hidden]), textarea, select)")?.focus();
  }, true);

  // A row that is taken away or a field that is wrong says so at once when it is mended.
  document.addEventListener("input", (event) => {
    const field = event.target.closest(".field.is-wrong");
    if (field) field.classList.add("is-edited");
  });

  // What was typed and not saved is not lost by a slip.
  for (const form of document.querySelectorAll("form.sheet")) {
    let isDirty = Boolean(document.getElementById("problems"));
    form.addEventListener("input", () => (isDirty = true));
    form.addEventListener("submit", () => {
      isDirty = false;
      for (const button of form.querySelectorAll("button:not([type=button])")) button.classList.add("is-busy");
    });
    addEventListener("beforeunload", (event) => isDirty && event.preventDefault());
  }

  // A notice of what was done need not come back with a reload.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) {
    address.searchParams.delete("done");
    history.replaceState(null, "", address);
  }

  document.getElementById("tail")?.addEventListener("change", (event) => event.target.form.requestSubmit());
})();
