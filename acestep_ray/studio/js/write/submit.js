// Sends the form. A song is made once, also if the answer is lost and the request sent again.
import { player } from "../audio/player.js";
import { announce, toast } from "../lib/dialog.js";
import { $, h, setText } from "../lib/dom.js";
import { CUT, Problem, problemOf, UNREACHABLE } from "../service/api.js";
import { at } from "../service/base.js";
import { put } from "../service/jobs.js";
import { key } from "../service/key.js";
import { askForKey } from "../service_status.js";
import { open } from "../listen/deck.js";
import { keep, keepFiles } from "../songs/own.js";
import { clearErrors, fieldError, formAlert, inPageWords, showProblem } from "./errors.js";
import {
  audioInputs,
  chosenFiles,
  form,
  isWriting,
  request,
  sayRefused,
  SOURCE_TASKS,
  values,
} from "./form.js";

const LONGEST_PAUSE = 5000; // milliseconds between two tries,
const LONGEST_ASKED = 30000; // also if the service asks for a longer one
const LONGEST_ANSWER = 180000; // milliseconds from the last byte that was sent
let busy = false;

export function startSubmit() {
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    void create();
  });
  form().addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void create();
    }
  });
}

async function create() {
  if (busy) return;
  clearErrors();
  sayRefused();
  const wrong = [...form().elements].find((one) => one.validity?.badInput && one.offsetParent);
  if (wrong) {
    fieldError(wrong.name, "This is not a number.").focus();
    return;
  }
  const asked = values();
  const files = chosenFiles();
  const missing = whatIsMissing(asked, files);
  if (missing) fieldError(...missing).focus();
  else await send(asked, files, "");
}

const OF_SOURCE = {
  cover: "to cover",
  repaint: "to repaint",
  lego: "that gets another track",
  extract: "from which a track is taken",
  complete: "to complete",
};

/** [field, text] if there is no source, or nothing says what the song is to be; the service would make
 * any. A task with a source needs no words. */
function whatIsMissing(asked, files) {
  if (SOURCE_TASKS.includes(asked.task_type)) {
    if (asked.source || files.src_audio) return null;
    const text = audioInputs().source.refused || `Choose the audio ${OF_SOURCE[asked.task_type]}.`;
    return ["src_audio", text];
  }
  if (asked.mode === "describe")
    return asked.sample_query.trim() ? null : ["sample_query", "Say in a few words what to make."];
  const said = asked.caption.trim() || asked.lyrics.trim();
  if (said || asked.reference || files.reference_audio) return null;
  return ["caption", "Describe the music or write lyrics."];
}

/** Makes a song of these values and files, whatever is in the form. */
export const make = (asked, files, message) => send(asked, files, message);

/** `message`: empty if the values are those of the form, at whose fields errors are then shown. */
async function send(asked, files, message) {
  const sent = request(asked, files);
  working(true);
  try {
    const submitted = await post(sent);
    await accepted(submitted, asked, files, message);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    // Who has changed the form meanwhile wants what it holds now.
    const again = message ? () => (clearErrors(), send(asked, files, message)) : create;
    if (problem.status === 401) {
      formAlert(
        problem.message,
        linkButton("Enter the key", () => askForKey(again)),
      );
      askForKey(again);
    } else if (message) {
      toast(
        inPageWords(problem.message),
        problem.passes ? "Try again" : "",
        problem.passes && again,
      );
    } else if (problem.passes) {
      formAlert(problem.message, retryButton(again, problem.retryAfter));
    } else showProblem(problem);
  } finally {
    working(false);
  }
}

const linkButton = (text, act) =>
  h("button", { type: "button", class: "link", onclick: act }, text);

/** `seconds`: after which the service asks to try again; they are counted down. */
function retryButton(again, seconds) {
  const until = Date.now() + 1000 * seconds;
  const button = linkButton("Try again", again);
  const count = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    setText(button, left > 0 ? `Try again (in ${left} s)` : "Try again");
    if (left > 0 && (button.isConnected || left >= seconds)) setTimeout(count, 1000);
  };
  count();
  return button;
}

function working(now) {
  busy = now;
  $("#create").disabled = now;
  $("#create span").textContent = now ? "Sending" : "Create";
  $(".make .busy")?.remove();
}

async function accepted(submitted, asked, files, message) {
  const { job_id, status, queue_position } = submitted;
  const title =
    asked.mode === "describe" && asked.task_type === "text2music"
      ? asked.sample_query
      : asked.caption;
  const names = { src_audio: files.src_audio?.name, reference_audio: files.reference_audio?.name };
  const now = Date.now() / 1000;
  keepFiles(job_id, files);
  await keep({
    job_id,
    created_at: now,
    title: title.trim() || firstLine(asked.lyrics) || "Untitled",
    values: { ...asked, files: names },
  });
  put({
    job_id,
    status,
    queue_position,
    created_at: now,
    caption: title,
    task_type: asked.task_type,
    warnings: submitted.warnings ?? [],
  });
  announce("The song is in the queue.");
  if (!player.value.playing) {
    await open(job_id);
    // From the button the focus goes on to the song, so that Space then plays it. (A button that is
    // disabled while it sends has lost the focus.) Who is in a text goes on writing: Escape leads
    // from there to the song.
    const focused = document.activeElement;
    const left = focused === document.body || form().contains(focused);
    if (left && !isWriting()) $("#listen").focus();
  } else toast(message || "The song is in the queue.", "Open", () => void open(job_id));
  if (message && !player.value.playing) toast(message);
}

const firstLine = (text) =>
  (text ?? "").split("\n").find((line) => line.trim() && !line.trim().startsWith("[")) ?? "";

const unanswered = []; // [request, its Idempotency-Key] of songs that may still be accepted later

/** Sends a request. If it is given up and sent again unchanged, it has the same Idempotency-Key: the song
 * is made once, also if the service accepted it and only the answer was lost. Throws Problem. */
async function post(sent) {
  const at = unanswered.findIndex(([one]) => isSame(one, sent));
  const once = at < 0 ? newKey() : unanswered.splice(at, 1)[0][1];
  try {
    return await untilAnswered(sent, once);
  } catch (problem) {
    if (problem.passes) unanswered.push([sent, once]);
    formAlert(""); // it is not sent again by itself any more
    throw problem;
  }
}

function isSame(one, other) {
  const names = Object.keys({ ...one.files, ...other.files });
  return (
    JSON.stringify(one.fields) === JSON.stringify(other.fields) &&
    names.every((name) => one.files[name] === other.files[name])
  );
}

/** Sends a request until the service answers, or until the user stops it. Throws Problem. */
async function untilAnswered(sent, once) {
  let said = "";
  let stopped = false;
  let wake = () => {};
  const stop = () => {
    stopped = true;
    wake();
  };
  for (let tries = 1; ; tries++) {
    try {
      const answer = await attempt(sent, once);
      if (said) formAlert("");
      return answer;
    } catch (problem) {
      if (!problem.waits || stopped) throw problem;
      const why =
        problem.status && problem.code
          ? `${inPageWords(problem.message)} Trying again.`
          : "The service does not answer; trying again.";
      if (why !== said) formAlert(why, linkButton("Stop", stop));
      said = why;
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, pauseAfter(problem, tries));
      });
      if (stopped) throw problem;
    }
  }
}

/** Milliseconds to the next try. */
const pauseAfter = ({ retryAfter }, tries) =>
  Math.max(Math.min(1000 * tries, LONGEST_PAUSE), Math.min(1000 * retryAfter, LONGEST_ASKED));

/** One try. XMLHttpRequest, because fetch does not tell how much of a file is sent. */
function attempt({ fields, files }, once) {
  return new Promise((resolve, reject) => {
    const upload = new XMLHttpRequest();
    upload.open("POST", at("v1/music/generate"));
    upload.setRequestHeader("Idempotency-Key", once);
    if (key.value) upload.setRequestHeader("Authorization", `Bearer ${key.value}`);
    let timer = 0;
    upload.onerror = upload.onabort = () => reject(new Problem(0, "unreachable", UNREACHABLE));
    upload.upload.onloadend = () => {
      timer = setTimeout(() => upload.abort(), LONGEST_ANSWER);
    };
    upload.onloadend = () => clearTimeout(timer);
    upload.onload = () => {
      if (upload.status === 200) {
        try {
          resolve(JSON.parse(upload.responseText));
        } catch {
          reject(new Problem(0, "cut", CUT)); // Whether it was accepted is not known: it is sent again.
        }
        return;
      }
      reject(
        problemOf(upload.status, upload.responseText, upload.getResponseHeader("Retry-After")),
      );
    };
    const names = Object.keys(files);
    if (!names.length) {
      upload.setRequestHeader("Content-Type", "application/json");
      upload.send(JSON.stringify(fields));
      return;
    }
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, String(value));
    for (const name of names) body.append(name, files[name], files[name].name);
    showUpload(upload.upload);
    upload.send(body);
  });
}

function showUpload(upload) {
  const bar = h("progress", { class: "busy", max: "1", value: "0", "aria-label": "Upload" });
  $(".make .busy")?.remove(); // of an earlier try
  $(".make").prepend(bar);
  upload.onprogress = ({ loaded, total }) => {
    bar.value = total ? loaded / total : 0;
  };
}

/** A key that nobody else has; crypto.randomUUID is only there on https and on this machine. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `studio-${[...bytes].map((one) => one.toString(16).padStart(2, "0")).join("")}`;
}
