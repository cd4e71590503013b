// OpenAI's npm package asks a server: `node ask.mjs URL` prints what came of each case, as JSON.

import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const url = process.argv[2];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
const model = "palaver-tiny";
const messages = [{ role: "user", content: "Hello! Who are you?" }];
const sunny = z.object({ sunny: z.boolean() });
const read = {
  type: "function",
  function: {
    name: "read_file",
    parameters: {
      type: "object",
      properties: {
        path: { type: "string" }, start: { type: "integer" }, end: { type: "integer" },
      },
      required: ["path"],
    },
    parse: JSON.parse,
    function: ({ path }) => (path === "notes.txt" ? "milk" : "nothing"),
  },
};
const asks = [{ role: "user", content: "read notes.txt" }];

async function refusal(promise) {
  try {
    return await promise;
  } catch (error) {
    return [error.constructor.name, error.type, error.param, error.code];
  }
}

const cases = {
  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    return ids;
  },
  chat: () => client.chat.completions.create({ model, messages }),
  async stream() {
    const options = { stream_options: { include_usage: true } };
    const runner = client.chat.completions.stream({ model, messages, ...options });
    const deltas = [];
    runner.on("content", (delta) => deltas.push(delta));
    const final = await runner.finalChatCompletion();
    return { deltas, final };
  },
  async tools() {
    const made = [];
    for (const stream of [false, true]) {
      const asked = { model, messages: asks, tools: [read], stream };
      const runner = client.chat.completions.runTools(asked);
      await runner.done();
      made.push(runner.messages);
    }
    return made;
  },
  form: () =>
    client.chat.completions.parse({
      model, messages, response_format: zodResponseFormat(sunny, "weather"),
    }),
  responses: () => client.responses.create({ model, input: messages }),
  async response_stream() {
    const made = client.responses.stream({ model, input: messages });
    const kinds = [];
    for await (const event of made) kinds.push(event.type);
    return { kinds, final: await made.finalResponse() };
  },
  async response_goes_on() {
    const first = await client.responses.create({ model, input: messages });
    const more = { previous_response_id: first.id, input: "Thanks!" };
    return [first, await client.responses.create({ model, ...more })];
  },
  response_form: () =>
    client.responses.parse({
      model, input: messages, text: { format: zodTextFormat(sunny, "weather") },
    }),
  completions: () => client.completions.create({ model, prompt: "once", max_tokens: 4, logit_bias: { 2: -100 } }),
  async errors() {
    const hot = { temperature: 9 };
    return {
      value: await refusal(client.chat.completions.create({ model, messages, ...hot })),
      model: await refusal(client.chat.completions.create({ model: "other", messages })),
      stream: await refusal(
        client.chat.completions.create({ model, messages, stream: true, ...hot }),
      ),
      response: await refusal(client.responses.retrieve("resp_1_1_x")),
      embeddings: await refusal(client.embeddings.create({ model, input: "x" })),
    };
  },
  async left() {
    const chunks = await client.chat.completions.create({
      model, messages, stream: true, logit_bias: { 2: -100 },
    });
    for await (const chunk of chunks) if (chunk.choices[0]?.delta.content) break;
    return chunks.controller.signal.aborted;
  },
};

const came = {};
for (const [name, run] of Object.entries(cases)) came[name] = await run();
console.log(JSON.stringify(came));
