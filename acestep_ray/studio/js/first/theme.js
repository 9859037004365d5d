// Runs before the first paint, so that a page in the chosen theme never flashes in the other.
(function () {
  try {
    const theme = localStorage.getItem("studio.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    /* storage is switched off: the system's theme */
  }
})();
