"use strict";
const $ = (id) => document.getElementById(id);
let socket = null;
let greeted = false;

function show(text, mine) {
  const line = document.createElement("li");
  line.textContent = text;
  line.className = mine ? "mine" : "theirs";
  $("talk").append(line);
}

function connected(yes, text) {
  $("status").textContent = text;
  $("enter").hidden = yes;
  $("say").hidden = !yes;
}

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const url = new URL("ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  greeted = false;
  socket.addEventListener("open", () => socket.send(JSON.stringify({ token: $("token").value })));
  socket.addEventListener("close", (end) =>
    connected(false, end.code === 4401 ? "The token is wrong." : "Not connected."));
  socket.addEventListener("message", (message) => {
    if (greeted) { show(message.data, false); return; }
    greeted = true;
    const hello = JSON.parse(message.data);
    connected(true, `Connected to ${hello.pod}.`);
    $("text").focus();
  });
});

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  show($("text").value, true);
  socket.send($("text").value);
  $("text").value = "";
});
