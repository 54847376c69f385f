// One turn of the official openai client against a running profile. Reads
// {baseURL, apiKey, message} from the environment variable REQUEST, prints what
// the client saw as one JSON object.
import OpenAI from "openai";

const { baseURL, apiKey, message } = JSON.parse(process.env.REQUEST);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const seen = { models: [], text: "", chunks: 0, ids: [], finish: null, usage: null, error: null };
try {
  for await (const model of client.models.list()) seen.models.push(model.id);

  const plain = await client.chat.completions.create({
    model: "whatever",
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: "user", content: message }],
  });
  const ids = new Set();
  for await (const chunk of plain) {
    seen.chunks++;
    ids.add(chunk.id);
    seen.text += chunk.choices[0]?.delta?.content ?? "";
    seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
    seen.usage = chunk.usage ?? seen.usage;
  }
  seen.ids = [...ids];

  // The helper checks much more of the wire than the plain loop does.
  const helper = client.chat.completions.stream({
    model: "whatever",
    messages: [{ role: "user", content: message }],
  });
  seen.helperText = await helper.finalContent();
  seen.helperFinish = (await helper.finalChatCompletion()).choices[0].finish_reason;

  const whole = await client.chat.completions.create({
    model: "whatever",
    messages: [{ role: "user", content: message }],
  });
  seen.whole = whole.choices[0].message.content;
  seen.wholeUsage = whole.usage;
} catch (error) {
  seen.error = { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null, message: String(error.message) };
}
process.stdout.write(JSON.stringify(seen));
