// What browser_test.go has a page do. The job stands in the address; what came of
// it is posted to the test, and the answer to GET /next is the page to go on with.
import OpenAI from "openai";

const job = JSON.parse(new URLSearchParams(location.search).get("job"));
const framed = window.parent !== window;
if (job) await tell(job.sandboxed && !framed ? await sandboxed() : await work(job));
if (!framed) {
  const next = await (await fetch("/next")).json();
  location.assign(next.origin + "/?job=" + encodeURIComponent(JSON.stringify(next.job)));
}

// work asks once through the official client.
async function work({ baseURL, apiKey, message, abortAfter, simple, responses }) {
  const seen = { origin: self.origin, sent: [], models: [], text: "", chunks: 0, finish: "", requestID: "", error: null, simple: "" };
  if (simple) seen.simple = await simply(baseURL, message);
  const client = new OpenAI({
    baseURL, apiKey, maxRetries: 0, dangerouslyAllowBrowser: true,
    fetch: (url, init) => {
      seen.sent = [...new Headers(init.headers).keys()];
      return fetch(url, init);
    },
  });
  const controller = new AbortController();
  try {
    if (responses) return await respond(client, message, seen);
    const { data, request_id } = await client.chat.completions
      .create({ model: "m", stream: true, messages: [{ role: "user", content: message }] }, { signal: controller.signal })
      .withResponse();
    seen.requestID = request_id;
    for await (const chunk of data) {
      seen.chunks++;
      seen.text += chunk.choices[0]?.delta?.content ?? "";
      seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
      if (abortAfter && seen.chunks >= abortAfter) controller.abort();
    }
    for await (const model of client.models.list()) seen.models.push(model.id);
  } catch (error) {
    seen.error = {
      name: error.constructor.name, status: error.status ?? 0, code: error.code ?? "",
      requestID: error.requestID ?? "", message: String(error.message),
    };
  }
  return seen;
}

// respond streams a response, and deletes it: a request that a browser asks for
// too.
async function respond(client, message, seen) {
  let id = "";
  for await (const event of await client.responses.create({ model: "m", stream: true, input: message })) {
    seen.chunks++;
    if (event.type === "response.output_text.delta") seen.text += event.delta;
    if (event.type === "response.completed") {
      id = event.response.id;
      seen.finish = event.response.status;
    }
  }
  await client.responses.delete(id);
  seen.deleted = id;
  return seen;
}

// simply sends what a form may send to any server: a browser asks nobody before.
async function simply(baseURL, message) {
  try {
    const response = await fetch(baseURL + "/chat/completions", {
      method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" },
      body: JSON.stringify({ model: "m", messages: [{ role: "user", content: message }] }),
    });
    return response.type;
  } catch (error) {
    return String(error);
  }
}

// sandboxed does the same job in a frame without an origin of its own.
function sandboxed() {
  return new Promise((resolve) => {
    addEventListener("message", (event) => resolve(event.data));
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.src = location.href;
    document.body.append(frame);
  });
}

async function tell(seen) {
  if (framed) return window.parent.postMessage(seen, "*");
  await fetch("/report", { method: "POST", body: JSON.stringify(seen) });
}
