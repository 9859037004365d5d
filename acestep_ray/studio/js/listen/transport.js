// The player at the bottom of the page.
import {
  activate,
  play,
  player,
  position,
  seek,
  setLoop,
  stop,
  toggle,
  volume,
} from "../audio/player.js";
import { toast } from "../lib/dialog.js";
import { $, h, icon, setRange, setText, sr } from "../lib/dom.js";
import { clock } from "../lib/words.js";

export function startTransport() {
  const [bar, playButton, scrub, loop] = ["#transport", "#play", "#seek", "#loop"].map((one) =>
    $(one),
  );
  playButton.addEventListener("click", () => void playOrPause());
  scrub.addEventListener("input", () => seek(Number(scrub.value)));
  loop.addEventListener("click", () => setLoop(!player.value.loop));
  $("#volume").addEventListener("input", (event) => volume.set(Number(event.target.value)));
  volume.on((level) => setRange($("#volume"), level));

  let tracksShown = null;
  player.on(({ tracks, active, playing, loop: looping, duration }) => {
    bar.hidden = !tracks.length;
    if (!tracks.length) return;
    if (tracks !== tracksShown) $("#switches").replaceChildren(...tracks.map(switchOf));
    tracksShown = tracks;
    [...$("#switches").children].forEach((one, index) =>
      one.setAttribute("aria-pressed", String(index === active)),
    );
    playButton.replaceChildren(icon(playing ? "pause" : "play"), sr(playing ? "Pause" : "Play"));
    loop.setAttribute("aria-pressed", String(looping));
    setText($("#now-title"), tracks[active].title);
    setText($("#now-take"), tracks[active].name);
    scrub.max = String(duration || 1);
    setText($("#time-all"), clock(duration));
    tick();
  });

  const tick = () => {
    const at = position();
    bar.dataset.position = at.toFixed(3);
    setText($("#time-now"), clock(at));
    setRange(scrub, at);
    scrub.setAttribute("aria-valuetext", `${clock(at)} of ${clock(player.value.duration)}`);
  };
  const frame = () => {
    if (player.value.playing) tick();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

const switchOf = (track, index) =>
  h(
    "button",
    {
      type: "button",
      title: track.name,
      "aria-label": `${index + 1}, ${track.name}`,
      style: { "--take": `var(--take-${(index % 8) + 1})` },
      onclick: () => void activate(index),
    },
    String(index + 1),
  );

export async function playOrPause() {
  try {
    if (player.value.playing) toggle();
    else await play();
  } catch (error) {
    stop(position());
    toast(error.message);
  }
}
