// What all clients have in common: the test writes one wish a line to stdin, as
// JSON, and reads one line of what the client saw. A wish that is to be aborted
// is aborted when the test writes its next line, whatever stands in it.
import { createInterface } from "node:readline";

// serve does the wishes, one after the other, until stdin ends. An action gets
// the wish and fills in what it sees, so that what came before an error counts.
// The wish "chat" is the action turn for each message, with an array in which the
// client keeps its transcript.
export async function serve(actions) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const wish = JSON.parse(line.value);
    const seen = { text: "", texts: [], pieces: 0, finish: "", tokens: 0, calls: [], ran: [], error: null };
    let aborted;
    if (wish.abort) {
      const controller = new AbortController();
      wish.signal = controller.signal;
      aborted = lines.next().then(() => controller.abort());
    }
    try {
      if (wish.do === "chat") await chat(actions.turn, wish, seen);
      else await actions[wish.do](wish, seen);
    } catch (error) {
      seen.error = describe(error);
    }
    await aborted;
    process.stdout.write(JSON.stringify(seen) + "\n");
  }
}

async function chat(turn, wish, seen) {
  const transcript = [];
  for (const message of wish.messages) {
    Object.assign(seen, { text: "", pieces: 0 });
    await turn(wish, seen, transcript, message);
    seen.texts.push(seen.text);
  }
}

// describe tells of an error what a program can read of it, under the names that
// the libraries have in common.
function describe(error) {
  const body = error.data?.error ?? error.data ?? error.error ?? {};
  return {
    name: error.name === "Error" ? error.constructor.name : error.name,
    status: error.status ?? error.statusCode ?? 0,
    code: error.code ?? body.code ?? "",
    param: error.param ?? body.param ?? "",
    message: String(error.message),
    last: error.lastError ? describe(error.lastError) : null,
  };
}

// Each piece of a stream's text goes through here.
export function piece(seen, text) {
  if (!text) return;
  seen.text += text;
  seen.pieces++;
}

// The one tool that clients have of their own.
export const weather = {
  name: "get_weather",
  description: "Tells the weather in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

// tell is the function behind it.
export function tell(seen, { city }) {
  seen.ran.push(city);
  return `sunny in ${city}`;
}
