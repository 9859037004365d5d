// Runs before the first paint, so that a page in the chosen theme never flashes in the other; and asks for
// the modules after it, so that they do not delay it.
(function () {
  try {
    const theme = localStorage.getItem("studio.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    /* storage is switched off: the system's theme */
  }
  let asked = false;
  function load() {
    if (asked) return;
    asked = true;
    const all = document.querySelector('meta[name="modules"]').content.split(" ");
    for (const href of all)
      document.head.append(
        Object.assign(document.createElement("link"), { rel: "modulepreload", href }),
      );
    void import(new URL(all[0], document.baseURI));
  }
  document.addEventListener("DOMContentLoaded", () => {
    requestAnimationFrame(() => setTimeout(load));
    setTimeout(load, 500); // a page that is not seen is not painted
  });
})();
