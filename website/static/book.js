// What the theme's scripts leave out for those who use a keyboard or a screen reader.
{
  // Whoever comes for a part that has moved goes on to where it is now.
  const moved = [...document.querySelectorAll(".nnkit-moved p")].find((one) => `#${one.id}` === location.hash);
  if (moved) location.replace(moved.querySelector("a").href);

  // The theme lets a region that scrolls take the focus, but measures only while it can be seen, and again when the
  // window changes. Tell it that folded code or a solution has come into view.
  const measureAgain = () => window.dispatchEvent(new Event("resize"));
  document.addEventListener("toggle", measureAgain, true);
  document.addEventListener("click", (event) => {
    if (event.target.closest(".admonition-title")) measureAgain();
  });

  // A formula that is wider than a phone scrolls, and a keyboard must reach it.
  let measuring = 0;
  const reach = () => {
    const formulas = [...document.querySelectorAll("article div.math, article mjx-container")];
    const scrolls = formulas.map(
      (one) => one.clientWidth && one.scrollWidth > one.clientWidth && getComputedStyle(one).overflowX !== "visible",
    );
    formulas.forEach((one, i) => (scrolls[i] ? (one.tabIndex = 0) : one.removeAttribute("tabindex")));
  };
  const reachSoon = () => {
    cancelAnimationFrame(measuring);
    measuring = requestAnimationFrame(reach);
  };
  // Whatever makes a formula's room narrower: a turned phone, a side bar that slides in, an opened fold, a late font.
  window.addEventListener("load", () => {
    const room = new ResizeObserver(reachSoon);
    for (const one of document.querySelectorAll("article div.math, article mjx-container")) room.observe(one);
    document.fonts.ready.then(reachSoon);
    reachSoon();
  });

  // A figure that can be drawn step by step: style sheets know when each part appears.
  for (const button of document.querySelectorAll(".nnkit-play")) {
    button.addEventListener("click", () => {
      const figure = button.parentElement;
      figure.classList.remove("nnkit-plays");
      figure.getBoundingClientRect(); // The browser sees it stop, and starts again from the first part.
      figure.classList.add("nnkit-plays");
    });
  }

  // Its name was "Search", and hid the keys that the button shows.
  document.querySelector(".search-button-field")?.removeAttribute("aria-label");

  // The arrow that opens a list of pages below a page has no name.
  for (const arrow of document.querySelectorAll(".bd-links summary"))
    arrow.setAttribute("aria-label", `Pages below ${arrow.closest("li").querySelector("a").textContent.trim()}`);

  // A page opened as a file may not read others, so that the search would fail at the excerpt of each result.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  // Paper is white, whatever the screen is.
  let onScreen = null;
  window.addEventListener("beforeprint", () => {
    onScreen = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = onScreen;
  });

  // Three icons, one of them shown: say which.
  const modes = { light: "Light", dark: "Dark", auto: "System Settings" };
  const root = document.documentElement;
  const nameMode = () => {
    for (const button of document.querySelectorAll(".theme-switch-button"))
      button.setAttribute("aria-label", `Color mode: ${modes[root.dataset.mode] ?? modes.auto}`);
  };
  nameMode();
  new MutationObserver(nameMode).observe(root, { attributeFilter: ["data-mode"] });
}
