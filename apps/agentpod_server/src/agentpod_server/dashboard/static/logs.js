// Follows a pod's output: the last lines again, then each that comes. A container that ends is waited for.
(() => {
  "use strict";
  const MOST = 500000;
  const view = document.getElementById("log");
  const state = document.getElementById("log-state");
  const toEnd = document.getElementById("log-end");
  if (!view || !window.ReadableStream) return;
  let isAtEnd = true;
  let pause = 500;

  const scroll = () => (view.scrollTop = view.scrollHeight);
  const say = (what, tone) => {
    state.hidden = false;
    state.textContent = state.dataset[what];
    state.className = `badge ${tone}`;
  };

  view.addEventListener("scroll", () => {
    isAtEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
    toEnd.hidden = isAtEnd;
  });
  toEnd.addEventListener("click", () => {
    scroll();
    view.focus();
  });

  function append(text, isFirst) {
    if (isFirst) view.textContent = "";
    view.append(text);
    view.normalize();
    const node = view.firstChild;
    if (node && node.length > MOST) node.deleteData(0, node.data.indexOf("\n", node.length - MOST) + 1);
    if (isAtEnd) scroll();
  }

  async function follow() {
    const answer = await fetch(view.dataset.stream, { headers: { Accept: "text/plain" } });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) return say("ended", "idle");
    say("live", "good");
    document.getElementById("log-problem")?.remove();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let isFirst = true; ; isFirst = false) {
      const { done, value } = await reader.read();
      if (done) break;
      pause = 500;
      append(value, isFirst);
    }
    say("ended", "idle");
  }

  async function forever() {
    for (;;) {
      try {
        await follow();
      } catch {
        say("lost", "warn");
      }
      await new Promise((resume) => setTimeout(resume, pause));
      pause = Math.min(pause * 2, 8000);
    }
  }
  scroll();
  forever();
})();
