// Keeps one stream of updates for this page while somebody looks at it, and says when it is cut.
// A hidden page gives its connection up: browsers allow six to one server over HTTP/1.1.
(() => {
  "use strict";
  const HIDDEN_MS = 20000;
  const SHOW_AFTER_MS = 3000;

  class Updates extends EventTarget {
    constructor(url) {
      super();
      this.url = url;
      this.names = new Set();
      this.last = "";
      this.isClosed = false;
      this.open();
      this.onVisibility = () => this.visibility();
      document.addEventListener("visibilitychange", this.onVisibility);
      addEventListener("pagehide", () => this.close());
    }

    get readyState() {
      return this.isClosed ? EventSource.CLOSED : EventSource.OPEN;
    }

    addEventListener(name, listener, options) {
      super.addEventListener(name, listener, options);
      if (!this.names.has(name)) {
        this.names.add(name);
        this.listen(name);
      }
    }

    close() {
      this.isClosed = true;
      clearTimeout(this.hiding);
      clearTimeout(this.retry);
      this.source?.close();
      this.source = null;
      document.removeEventListener("visibilitychange", this.onVisibility);
    }

    open() {
      const url = new URL(this.url, location.href);
      if (this.last) url.searchParams.set("after", this.last);
      this.source = new EventSource(url);
      this.source.onopen = () => {
        connected(true);
        this.onopen?.(new Event("open"));
      };
      this.source.onerror = () => {
        connected(false);
        // The browser tries again by itself unless the server refused; then we do, more slowly.
        if (this.source?.readyState === EventSource.CLOSED) {
          this.source = null;
          this.retry = setTimeout(() => this.isClosed || this.source || this.open(), 5000);
        }
      };
      for (const name of this.names) this.listen(name);
    }

    listen(name) {
      this.source?.addEventListener(name, (event) => {
        if (event.lastEventId) this.last = event.lastEventId;
        this.dispatchEvent(new MessageEvent(name, { data: event.data, lastEventId: event.lastEventId }));
      });
    }

    visibility() {
      clearTimeout(this.hiding);
      if (document.hidden) {
        this.hiding = setTimeout(() => {
          clearTimeout(this.retry);
          this.source?.close();
          this.source = null;
        }, HIDDEN_MS);
      } else if (!this.source && !this.isClosed) {
        this.open();
      }
    }
  }

  let warning = 0;
  function connected(isFine) {
    clearTimeout(warning);
    const toast = document.getElementById("connection");
    if (!toast) return;
    if (isFine) toast.hidden = true;
    else if (toast.hidden) warning = setTimeout(() => (toast.hidden = false), SHOW_AFTER_MS);
  }

  htmx.createEventSource = (url) => new Updates(url);
})();
