// The official client, responses: as one object, as a plain loop over a stream,
// and through the helper, which keeps a copy of the response by the events.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { piece, serve, tell, weather } from "./harness.mjs";

const client = (wish) => new OpenAI({ baseURL: wish.baseURL, apiKey: wish.key, maxRetries: wish.retries });

function content(wish, message) {
  if (!wish.image) return message;
  return [{ role: "user", content: [{ type: "input_text", text: message }, { type: "input_image", image_url: wish.image, detail: "auto" }] }];
}

// ask takes one answer in the form that the wish names and returns the response.
async function ask(wish, seen, params) {
  const { responses } = client(wish);
  const body = { model: "whatever", temperature: wish.temperature, ...params };
  const options = { signal: wish.signal };
  if (wish.form === "json") return finished(await responses.create(body, options), seen);
  if (wish.form === "stream") return follow(wish, seen, await responses.create({ ...body, stream: true }, options));
  return assist(seen, responses.stream(body, options));
}

// follow reads a stream with a plain loop.
async function follow(wish, seen, stream) {
  let last;
  for await (const event of stream) {
    if (event.sequence_number !== seen.events) throw new Error(`event ${seen.events} has the number ${event.sequence_number}`);
    seen.events++;
    if (event.type === "response.output_text.delta") piece(seen, event.delta);
    if (event.response) last = event.response;
    if (wish.leave && seen.text) return last;
  }
  return last.status === "in_progress" ? last : finished(last, seen);
}

// assist reads a stream with the library's helper.
async function assist(seen, helper) {
  helper.on("response.output_text.delta", ({ delta }) => piece(seen, delta));
  helper.on("event", (event) => (seen.first ??= event.sequence_number));
  return finished(await helper.finalResponse(), seen);
}

// finished notes what a response holds. A call that has its output beside it was
// run by the server.
function finished(response, seen) {
  if (response.error) throw Object.assign(new Error(response.error.message), { name: "failed", code: response.error.code });
  const done = new Set(response.output.filter((item) => item.type === "function_call_output").map((item) => item.call_id));
  const calls = response.output.filter((item) => item.type === "function_call");
  // The library adds output_text to whole responses, but not to those of events.
  seen.text = response.output.flatMap((item) => item.content ?? []).map((part) => part.text).join("");
  seen.calls = calls.filter((call) => !done.has(call.call_id)).map((call) => call.name);
  seen.shown = response.output.filter((item) => item.type === "mcp_call" || done.has(item.call_id)).map((item) => item.name ?? item.type);
  seen.finish = response.status;
  seen.tokens = response.usage.total_tokens;
  return response;
}

serve({
  // A turn follows the one before by its id, by the name of a conversation, or by
  // all items so far, which nobody stores then, as the wish says.
  async turn(wish, seen, transcript, message) {
    seen.events = 0;
    const input = content(wish, message);
    if (wish.history === "items") {
      transcript.push({ role: "user", content: input });
      transcript.push(...(await ask(wish, seen, { input: transcript, store: false })).output);
    } else if (wish.history === "conversation") {
      await ask(wish, seen, { input, conversation: "of " + wish.form });
    } else {
      transcript.push((await ask(wish, seen, { input, previous_response_id: transcript.at(-1) })).id);
    }
  },

  async tools(wish, seen) {
    const tools = [{ type: "function", strict: true, ...weather }];
    let input = wish.messages[0];
    let previous;
    do {
      Object.assign(seen, { text: "", pieces: 0, events: 0 });
      previous = await ask(wish, seen, { input, tools, previous_response_id: previous?.id });
      input = previous.output
        .filter((item) => item.type === "function_call" && item.name === weather.name)
        .map((call) => ({ type: "function_call_output", call_id: call.call_id, output: tell(seen, JSON.parse(call.arguments)) }));
    } while (input.length > 0);
  },

  async shape(wish, seen) {
    const schema = z.object({ city: z.string(), degrees: z.number() });
    const parsed = await client(wish).responses.parse({
      model: "whatever", input: wish.messages[0], text: { format: zodTextFormat(schema, "weather") },
    });
    seen.parsed = parsed.output_parsed;
  },

  // A response in the background: followed until there is text, left, and taken up
  // again behind what was seen.
  async resume(wish, seen) {
    const { responses } = client(wish);
    const stream = await responses.create({ model: "whatever", input: wish.messages[0], background: true, stream: true });
    let id;
    let last;
    for await (const event of stream) {
      id ??= event.response.id;
      last = event.sequence_number;
      piece(seen, event.type === "response.output_text.delta" ? event.delta : "");
      if (seen.text) break;
    }
    const before = seen.text;
    seen.begun = (await responses.retrieve(id)).status;
    await assist(seen, responses.stream({ response_id: id, starting_after: last }));
    seen.texts.push(before, (await responses.retrieve(id)).output_text);
    seen.gap = seen.first - last;
  },

  // Another one, which is cancelled, looked into, and deleted.
  async cancel(wish, seen) {
    const { responses } = client(wish);
    const { id, status } = await responses.create({ model: "whatever", input: wish.messages[0], background: true });
    seen.begun = status;
    seen.finish = (await responses.cancel(id)).status;
    for await (const item of responses.inputItems.list(id)) seen.texts.push(item.content[0].text);
    await responses.delete(id);
    await responses.retrieve(id);
  },

  // A turn that is to follow one that does not exist.
  async orphan(wish, seen) {
    await ask(wish, seen, { input: "hi", previous_response_id: "resp_nobody" });
  },
});
