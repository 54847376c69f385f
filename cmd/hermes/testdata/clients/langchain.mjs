// LangChain's ChatOpenAI. The first argument is chat or responses.
import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { piece, serve, tell, weather } from "./harness.mjs";

const client = (wish) =>
  new ChatOpenAI({
    model: "whatever",
    apiKey: wish.key,
    configuration: { baseURL: wish.baseURL },
    maxRetries: wish.retries,
    temperature: wish.temperature,
    useResponsesApi: process.argv[2] === "responses",
  });

function content(wish, message) {
  if (!wish.image) return message;
  return [{ type: "text", text: message }, { type: "image_url", image_url: { url: wish.image } }];
}

// ask takes one answer and returns its message.
async function ask(wish, seen, model, messages, more) {
  const options = { signal: wish.signal, ...more };
  let answer;
  if (wish.form === "json") {
    answer = await model.invoke(messages, options);
    seen.text = answer.text;
  } else {
    for await (const chunk of await model.stream(messages, options)) {
      piece(seen, chunk.text);
      answer = answer ? answer.concat(chunk) : chunk;
      if (wish.leave && seen.text) break;
    }
  }
  seen.calls = (answer.tool_calls ?? []).map((call) => call.name);
  seen.finish = answer.response_metadata.finish_reason ?? answer.response_metadata.status ?? "";
  seen.tokens = answer.usage_metadata?.total_tokens ?? 0;
  return answer;
}

serve({
  async turn(wish, seen, transcript, message) {
    transcript.push(new HumanMessage({ content: content(wish, message) }));
    if (wish.history === "chain") {
      const previous = transcript.at(-2)?.response_metadata.id;
      transcript.push(await ask(wish, seen, client(wish), transcript.slice(-1), { previous_response_id: previous }));
    } else {
      transcript.push(await ask(wish, seen, client(wish), transcript));
    }
  },

  async tools(wish, seen) {
    const run = tool((args) => tell(seen, args), {
      name: weather.name, description: weather.description, schema: weather.parameters,
    });
    const model = client(wish).bindTools([run]);
    const messages = [new HumanMessage(wish.messages[0])];
    do {
      Object.assign(seen, { text: "", pieces: 0 });
      const answer = await ask(wish, seen, model, messages);
      messages.push(answer);
      for (const call of answer.tool_calls ?? []) messages.push(await run.invoke(call));
    } while (seen.calls.length > 0);
  },

  async shape(wish, seen) {
    const schema = z.object({ city: z.string(), degrees: z.number() });
    seen.parsed = await client(wish).withStructuredOutput(schema, { name: "weather", method: "jsonSchema" }).invoke(wish.messages[0]);
  },
});
