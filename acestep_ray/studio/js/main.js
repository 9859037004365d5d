// The Studio: brings its parts together.
import { player } from "./audio/player.js";
import { startKeyboard } from "./keyboard.js";
import { $, debounce } from "./lib/dom.js";
import { open, opened, startDeck } from "./listen/deck.js";
import { startIdeas } from "./listen/ideas.js";
import { startTransport } from "./listen/transport.js";
import { look, watchService } from "./service/about.js";
import { follow, link } from "./service/follow.js";
import { hasEnded, job, onJob } from "./service/jobs.js";
import { key } from "./service/key.js";
import { startStatus } from "./service_status.js";
import { readNewest, startSongs } from "./songs/list.js";
import { isOwn, ownIds, readOwn, titleOf } from "./songs/own.js";
import { startTheme } from "./theme.js";
import { startViews } from "./views.js";
import { showModel, startChoices } from "./write/choices.js";
import { keepDraft, readDraft } from "./write/draft.js";
import { startDropping } from "./write/dropping.js";
import { clearError } from "./write/errors.js";
import { fill, form, startForm } from "./write/form.js";
import { startLanguage } from "./write/language.js";
import { startReading } from "./write/reading.js";
import { startSubmit } from "./write/submit.js";
import { showSummary, startSummary } from "./write/summary.js";
import { startTags } from "./write/tags.js";
import { startTap } from "./write/tap.js";
import { startWriter } from "./write/writer.js";
import { startWritten } from "./write/written.js";

let ready = ""; // the title of a song that became ready while nobody looked

startTheme();
startViews();
startTags();
startTap();
const count = startReading();
const showLanguage = startLanguage();
const showWritten = startWritten(fill);
startForm(() => {
  count();
  showLanguage();
  showWritten();
  keepDraft();
  showModel();
  showSummary();
});
startChoices();
startWriter();
startSubmit();
startSummary();
startDropping();
startIdeas();
startDeck();
startTransport();
startKeyboard();
startSongs();
startStatus();
readDraft();
$("#clear-seed").addEventListener("click", () => fill({ seed: "" }));
form().addEventListener("input", (event) => event.target.id && clearError(event.target.id));

onJob(debounce(showTitle, 200));
onJob((one, before) => {
  if (
    document.hidden &&
    before &&
    !hasEnded(before) &&
    one.status === "succeeded" &&
    isOwn(one.job_id)
  )
    ready = titleOf(one.job_id);
});
document.addEventListener("visibilitychange", () => {
  ready = "";
  showTitle();
});
player.on(showTitle);
link.on(showTitle);

/** The window's title: how far one's songs are, what is ready since the page was seen, what plays. */
function showTitle() {
  const active = ownIds()
    .map(job)
    .filter((one) => one && !hasEnded(one));
  const { playing, tracks, active: heard } = player.value;
  const share = active.find((one) => one.progress)?.progress.fraction;
  if (active.length && link.value === "lost") document.title = "… · Studio";
  else if (active.length)
    document.title = `${share === undefined ? "…" : `${Math.round(100 * share)} %`} · Studio`;
  else if (ready) document.title = `✓ ${ready.slice(0, 60)}`;
  else document.title = playing ? `${tracks[heard].title.slice(0, 60)} · Studio` : "Studio";
}

await readOwn();
key.on(() => void readNewest().then(openLast));
void watchService();
void follow();
// The figures of the queue are right when something has ended, too.
onJob((one, before) => (before ? before.status !== one.status : !hasEnded(one)) && lookSoon());
const lookSoon = debounce(look, 500);

/** After a reload: the song that is being made, or the last one. */
function openLast() {
  if (opened.value) return;
  const mine = ownIds();
  const active = mine.find((id) => job(id) && !hasEnded(job(id)));
  const last = active ?? mine.find((id) => job(id)?.status === "succeeded");
  if (last) void open(last, { quietly: true });
}
