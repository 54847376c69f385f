// The official client, chat completions: as one object, as a plain loop over a
// stream, and through the helpers, which check much more of the wire.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { piece, serve, tell, weather } from "./harness.mjs";

const client = (wish) => new OpenAI({ baseURL: wish.baseURL, apiKey: wish.key, maxRetries: wish.retries });

function content(wish, message) {
  if (!wish.image) return message;
  return [{ type: "text", text: message }, { type: "image_url", image_url: { url: wish.image } }];
}

const body = (wish, messages) => ({ model: "whatever", messages, temperature: wish.temperature });

// ask takes one answer in the form that the wish names and returns its message.
async function ask(wish, seen, messages) {
  const { chat } = client(wish);
  const options = { signal: wish.signal };
  if (wish.form === "json") {
    const whole = await chat.completions.create(body(wish, messages), options);
    return finished(whole, seen);
  }
  if (wish.form === "stream") {
    const stream = await chat.completions.create(
      { ...body(wish, messages), stream: true, stream_options: { include_usage: true } }, options);
    for await (const chunk of stream) {
      piece(seen, chunk.choices[0]?.delta.content);
      seen.calls.push(...(chunk.choices[0]?.delta.tool_calls ?? []).map((call) => call.function.name));
      seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
      seen.tokens = chunk.usage?.total_tokens ?? seen.tokens;
      if (wish.leave && seen.text) break;
    }
    return { role: "assistant", content: seen.text };
  }
  const helper = chat.completions.stream({ ...body(wish, messages), stream_options: { include_usage: true } }, options);
  helper.on("content", (text) => piece(seen, text));
  const whole = await helper.finalChatCompletion();
  return finished(whole, { ...seen, text: "" }, seen);
}

// finished notes what a whole answer holds.
function finished(whole, seen, into = seen) {
  const { message, finish_reason: finish } = whole.choices[0];
  into.text = message.content ?? "";
  into.calls = (message.tool_calls ?? []).map((call) => call.function.name);
  into.finish = finish;
  into.tokens = whole.usage.total_tokens;
  return message;
}

serve({
  async turn(wish, seen, transcript, message) {
    transcript.push({ role: "user", content: content(wish, message) });
    transcript.push(await ask(wish, seen, transcript));
  },

  // The loop of the library, which runs tools until there is an answer.
  async tools(wish, seen) {
    const run = client(wish).chat.completions.runTools({
      ...body(wish, [{ role: "user", content: wish.messages[0] }]),
      stream: wish.form !== "json",
      tools: [{ type: "function", function: { ...weather, parse: JSON.parse, function: (args) => tell(seen, args) } }],
    });
    run.on("content", (text) => wish.form === "json" || piece(seen, text));
    seen.text = (await run.finalContent()) ?? "";
    const last = await run.finalChatCompletion();
    seen.finish = last.choices[0].finish_reason;
    seen.calls = (last.choices[0].message.tool_calls ?? []).map((call) => call.function.name);
    seen.tokens = (await run.totalUsage()).total_tokens;
  },

  // An answer of a given shape.
  async shape(wish, seen) {
    const parsed = await client(wish).chat.completions.parse({
      ...body(wish, [{ role: "user", content: wish.messages[0] }]),
      response_format: zodResponseFormat(z.object({ city: z.string(), degrees: z.number() }), "weather"),
    });
    seen.parsed = parsed.choices[0].message.parsed;
  },
});
