// The AI SDK with any of its providers that speak to such a server. The first
// argument names the provider: openai-chat, openai-responses, compatible or
// open-responses.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createOpenResponses } from "@ai-sdk/open-responses";
import { generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";
import { z } from "zod";
import { piece, serve, tell, weather } from "./harness.mjs";

const providers = {
  "openai-chat": ({ baseURL, key }) => createOpenAI({ baseURL, apiKey: key }).chat("whatever"),
  "openai-responses": ({ baseURL, key }) => createOpenAI({ baseURL, apiKey: key }).responses("whatever"),
  compatible: ({ baseURL, key }) =>
    createOpenAICompatible({ name: "hermes", baseURL, apiKey: key, includeUsage: true, supportsStructuredOutputs: true })("whatever"),
  "open-responses": ({ baseURL, key }) =>
    createOpenResponses({ name: "hermes", url: baseURL + "/responses", apiKey: key })("whatever"),
};
const model = providers[process.argv[2]];

function content(wish, message) {
  if (!wish.image) return message;
  return [{ type: "text", text: message }, { type: "file", mediaType: "image/png", data: wish.image }];
}

const options = (wish, more) => ({
  model: model(wish),
  maxRetries: wish.retries,
  temperature: wish.temperature,
  abortSignal: wish.signal,
  ...more,
});

// ask takes one answer and returns the messages that it adds to the chat.
async function ask(wish, seen, more) {
  if (wish.form === "json") {
    const result = await generateText(options(wish, more));
    seen.text = result.text;
    return finished(result, seen);
  }
  const result = streamText(options(wish, { ...more, onError() {} })); // it would print errors
  for await (const part of result.stream) {
    if (part.type === "text-delta") piece(seen, part.text);
    if (wish.leave && seen.text) return [];
    if (part.type === "error") throw part.error;
    if (part.type === "abort") throw new DOMException("aborted", "AbortError");
  }
  return finished(
    { finishReason: await result.finishReason, totalUsage: await result.totalUsage, steps: await result.steps, response: await result.response }, seen);
}

// finished notes what a result holds. A call that the provider has run itself is
// none of the client's.
function finished(result, seen) {
  const mine = (call) => !call.providerExecuted;
  seen.calls = result.steps.at(-1).toolCalls.filter(mine).map((call) => call.toolName);
  seen.invalid = result.steps.flatMap((step) => step.toolCalls).filter((call) => call.invalid).map((call) => call.toolName);
  seen.shown = result.steps.flatMap((step) => step.toolCalls).filter((call) => call.providerExecuted).map((call) => call.toolName);
  seen.finish = result.finishReason;
  seen.tokens = result.totalUsage.totalTokens;
  seen.id = result.response.id;
  return result.response.messages;
}

serve({
  // A turn follows the one before by all messages so far, in which the library may
  // put references, or by what the wish says.
  async turn(wish, seen, transcript, message) {
    const said = { role: "user", content: content(wish, message) };
    if (wish.history) {
      const follow = { chain: { previousResponseId: seen.id }, conversation: { conversation: "of " + wish.form } }[wish.history];
      await ask(wish, seen, { messages: [said], providerOptions: { openai: follow } });
    } else {
      transcript.push(said);
      transcript.push(...(await ask(wish, seen, { messages: transcript })));
    }
  },

  async tools(wish, seen) {
    await ask(wish, seen, {
      prompt: wish.messages[0],
      stopWhen: isStepCount(5),
      tools: {
        [weather.name]: tool({
          description: weather.description,
          inputSchema: jsonSchema(weather.parameters),
          execute: (args) => tell(seen, args),
        }),
      },
    });
  },

  async shape(wish, seen) {
    const output = Output.object({ schema: z.object({ city: z.string(), degrees: z.number() }) });
    const result = await generateText(options(wish, { prompt: wish.messages[0], output }));
    seen.parsed = result.output;
  },
});
