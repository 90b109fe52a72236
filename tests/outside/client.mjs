// What a user of npm's `openai` does: send a file, start a job, list its events, cancel it.
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.VTUNE_NODE_MODULES + "/");
const { OpenAI } = require("openai");
const client = new OpenAI({ maxRetries: 0 }); // OPENAI_BASE_URL, OPENAI_API_KEY

const [, , file, model] = process.argv;
const sent = await client.files.create({ file: fs.createReadStream(file), purpose: "fine-tune" });
const ready = await client.files.waitForProcessing(sent.id, { pollInterval: 50 });
const job = await client.fineTuning.jobs.create({
  model,
  training_file: sent.id,
  suffix: "node",
  method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 1 } } },
});
let now = job;
while (!["succeeded", "failed", "cancelled"].includes(now.status)) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  now = await client.fineTuning.jobs.retrieve(job.id);
}
const events = [];
for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 2 })) {
  events.push(event.message);
}
const listed = [];
for await (const each of client.fineTuning.jobs.list()) listed.push(each.id);
const answer = await client.chat.completions.create({
  model: now.fine_tuned_model,
  messages: [{ role: "user", content: "Tell me about salt number 1." }],
  max_tokens: 8,
  logprobs: true,
  top_logprobs: 2,
});
let refused;
try {
  await client.fineTuning.jobs.retrieve("ftjob-none");
} catch (error) {
  refused = [error.constructor.name, error.status];
}
console.log(
  JSON.stringify({
    file: [ready.filename, ready.bytes, ready.status],
    job: now.id,
    status: now.status,
    model: now.fine_tuned_model,
    events,
    listed,
    tokens: answer.choices[0].logprobs.content.length,
    finish: answer.choices[0].finish_reason,
    refused,
  }),
);
