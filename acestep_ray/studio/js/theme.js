// Light, dark, or as the system is.
import { redraw } from "./audio/wave.js";
import { $, setText } from "./lib/dom.js";

const NAME = "studio.theme"; // js/first/start.js reads it before the page is painted
const NEXT = { system: "light", light: "dark", dark: "system" };
const TEXTS = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };

export function startTheme() {
  let theme = document.documentElement.dataset.theme ?? "system";
  const show = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    setText($("#theme-text"), TEXTS[theme]);
    $("#theme-button").title = TEXTS[theme];
    requestAnimationFrame(redraw);
  };
  $("#theme-button").addEventListener("click", () => {
    theme = NEXT[theme];
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // It lasts as long as the page.
    }
    show();
  });
  addEventListener("storage", (event) => {
    if (event.key !== NAME || !NEXT[event.newValue]) return;
    theme = event.newValue;
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    requestAnimationFrame(redraw),
  );
  show();
}
