// Runs while the image is built, without a network, as the agent's user: starts the gateway once, has it
// answer one chat turn from a model in this very script, and calls the commands that AgentPod calls. What
// Node compiles on the way stays in the compile cache, which every start of every pod then reads.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";

const HOME = "/tmp/warm";
const PORT = 18789;
const TOKEN = "only-while-the-image-is-built";
const [ENTRY, CLI] = process.argv.slice(2);
const DEADLINE = Date.now() + 180_000;

const model = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const chunk = (delta, finish_reason) =>
      `data: ${JSON.stringify({ id: "w", object: "chat.completion.chunk", created: 0, model: "warm", choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(`${chunk({ role: "assistant", content: "warm" }, null)}${chunk({}, "stop")}data: [DONE]\n\n`);
  });
});

const env = {
  ...process.env,
  HOME,
  OPENCLAW_HOME: HOME,
  OPENCLAW_STATE_DIR: `${HOME}/state`,
  OPENCLAW_CONFIG_PATH: `${HOME}/state/openclaw.json`,
  OPENCLAW_DISABLE_BONJOUR: "1",
  OPENCLAW_NO_RESPAWN: "1",
};

function run(args) {
  return spawn(process.execPath, args, { env, stdio: ["ignore", "inherit", "inherit"] });
}

function ended(child) {
  return new Promise((resolve) => child.on("exit", (code) => resolve(code)));
}

async function ask(path, options = {}) {
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  const reply = await fetch(`http://127.0.0.1:${PORT}${path}`, { headers, ...options });
  return { status: reply.status, text: await reply.text() };
}

async function untilReady(gateway) {
  while (Date.now() < DEADLINE && gateway.exitCode === null) {
    const status = await ask("/readyz").then((reply) => reply.status, () => 0);
    if (status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error("the gateway did not become ready");
}

await new Promise((resolve) => model.listen(0, "127.0.0.1", resolve));
mkdirSync(`${HOME}/state`, { recursive: true });
const provider = {
  baseUrl: `http://127.0.0.1:${model.address().port}/v1`,
  apiKey: "none",
  api: "openai-completions",
  models: [{ id: "warm", name: "warm", reasoning: false, input: ["text"], contextWindow: 128000, maxTokens: 1024 }],
};
writeFileSync(
  env.OPENCLAW_CONFIG_PATH,
  JSON.stringify({
    gateway: {
      mode: "local",
      port: PORT,
      auth: { mode: "token", token: TOKEN },
      terminal: { enabled: false },
      http: { endpoints: { chatCompletions: { enabled: true } } },
    },
    plugins: { entries: { "admin-http-rpc": { enabled: true } } },
    agents: { defaults: { model: { primary: "warm/warm" }, heartbeat: { every: "0m" } } },
    models: { mode: "merge", providers: { warm: provider } },
  }),
);

const gateway = run([ENTRY, "gateway", "--bind", "lan", "--port", String(PORT)]);
const gone = ended(gateway);
try {
  await untilReady(gateway);
  const body = JSON.stringify({ model: "openclaw", messages: [{ role: "user", content: "Hello" }] });
  const turn = await ask("/v1/chat/completions", { method: "POST", body });
  if (turn.status !== 200) throw new Error(`the chat turn was answered ${turn.status}: ${turn.text}`);
  for (const method of ["status", "channels.status"]) {
    await ask("/api/v1/admin/rpc", { method: "POST", body: JSON.stringify({ method, params: {} }) });
  }
  const code = await ended(run([CLI, "dashboard", "--json"]));
  if (code !== 0) throw new Error(`openclaw dashboard ended with ${code}`);
} finally {
  gateway.kill("SIGTERM");
  await gone;
  model.close();
  rmSync(HOME, { recursive: true, force: true });
}
