// How a take is kept: liked, held to be compared with other songs, downloaded.
import { player, updateTracks } from "../audio/player.js";
import { toast } from "../lib/dialog.js";
import { h, icon, sr } from "../lib/dom.js";
import { fileName } from "../lib/words.js";
import { send } from "../service/api.js";
import { key } from "../service/key.js";
import { isLiked, like, titleOf } from "../songs/own.js";

export function likeButton(track) {
  const button = h(
    "button",
    {
      type: "button",
      title: "Like this take",
      "aria-pressed": String(isLiked(track.job_id, track.take)),
    },
    icon("heart"),
    sr(`Like ${track.name}`),
  );
  button.addEventListener("click", async () => {
    await like(track.job_id, track.take);
    button.setAttribute("aria-pressed", String(isLiked(track.job_id, track.take)));
  });
  return button;
}

/** Takes that stay on the deck when another song is opened. */
export const pinned = [];

export function pinButton(track) {
  const isPinned = () => pinned.some((one) => one.url.href === track.url.href);
  const button = h(
    "button",
    {
      type: "button",
      title: "Keep it on the deck, to compare it with other songs",
      "aria-pressed": String(isPinned()),
    },
    icon("pin"),
    sr(`Compare ${track.name} with other songs`),
  );
  button.addEventListener("click", () => {
    if (isPinned()) unpin(track);
    else
      pinned.push({
        ...track,
        compared: true,
        name: `${titleOf(track.job_id)}, take ${track.take}`,
      });
    button.setAttribute("aria-pressed", String(isPinned()));
    if (isPinned()) toast(`Take ${track.take} stays here when you open another song.`);
  });
  return button;
}

/** Takes a track out of the comparison. */
export function unpin(track) {
  const at = pinned.findIndex((one) => one.url.href === track.url.href);
  if (at >= 0) pinned.splice(at, 1);
  if (track.compared) updateTracks(player.value.tracks.filter((one) => one !== track));
}

/** A link; with an API key, which a link cannot send, the page fetches the file. */
export function download(track) {
  const name = `${fileName(titleOf(track.job_id))}-${track.take}.${track.url.pathname.split(".").pop()}`;
  const link = h(
    "a",
    { href: track.url.href, download: name, title: "Download" },
    icon("download"),
    sr(`Download ${track.name}`),
  );
  link.addEventListener("click", async (event) => {
    if (!key.value || link.dataset.ready) return;
    event.preventDefault();
    try {
      const blob = await (await send(track.url)).blob();
      link.href = URL.createObjectURL(blob);
      link.dataset.ready = "true";
      link.click();
    } catch (problem) {
      toast(problem.message);
    }
  });
  return link;
}
