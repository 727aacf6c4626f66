// Shows the definition of a glossary term while its link is hovered over or has the focus, or after a tap. It stands in
// the margin beside the line, or where there is none, below the paragraph: it covers nothing that is read. It can be
// entered with the mouse, and Escape puts it away (WCAG 1.4.13). Screen readers read it as the description of the link.
{
  const NARROWEST = 180; // Pixels of a margin in which a definition can be read.
  const WAIT = 400; // Milliseconds in which the mouse may cross the lines between the link and the note.
  let shown = null;
  let leaving = 0;
  let tapped = null; // What the finger came down on, and whether its definition was there already.

  const hide = () => {
    clearTimeout(leaving);
    shown?.classList.remove("shown", "beside");
    shown?.removeAttribute("style");
    shown = null;
  };
  const hideSoon = () => {
    clearTimeout(leaving);
    leaving = setTimeout(hide, WAIT);
  };
  const noteOf = (link) => document.getElementById(link.getAttribute("aria-describedby"));

  const placeBeside = (note, link, text) => {
    const left = text.right + 16;
    const width = Math.min(400, document.documentElement.clientWidth - left - 8);
    if (width < NARROWEST) return false;
    document.body.append(note); // Out of whatever clips or moves it.
    note.classList.add("shown", "beside");
    note.style.width = `${width}px`;
    const { height } = note.getBoundingClientRect();
    const last = document.documentElement.clientHeight - height - 8;
    const contents = document.querySelector("#pst-secondary-sidebar nav")?.getBoundingClientRect();
    const line = link.getClientRects()[0].top;
    const free = contents?.height && contents.right > left ? Math.max(line, contents.bottom + 8) : line;
    note.style.left = `${scrollX + left}px`;
    note.style.top = `${scrollY + Math.max(8, Math.min(free, last))}px`;
    return true;
  };
  const placeBelow = (note, link) => {
    const block = link.closest("table") ?? link.closest("p, dt, figcaption, h1, h2, h3, h4");
    if (block) (block.closest(".pst-scrollable-table-container") ?? block).after(note);
    else link.parentElement.closest("li, dd, div").append(note);
    note.classList.add("shown");
  };
  const show = (link) => {
    const note = noteOf(link);
    clearTimeout(leaving);
    if (note === shown) return;
    hide();
    shown = note;
    const text = link.closest(".bd-article-container")?.getBoundingClientRect();
    if (!text || !placeBeside(note, link, text)) placeBelow(note, link);
  };

  for (const link of document.querySelectorAll("a[aria-describedby^='note-term-']")) {
    link.addEventListener("pointerdown", (event) => {
      tapped = event.pointerType === "mouse" ? null : { link, open: noteOf(link) === shown };
    });
    // The first tap opens the definition, the second follows the link.
    link.addEventListener("click", (event) => {
      if (tapped?.link !== link || tapped.open) return;
      event.preventDefault();
      show(link);
    });
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") show(link);
    });
    link.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") hideSoon();
    });
    link.addEventListener("focus", () => show(link));
    link.addEventListener("blur", hideSoon);
  }
  for (const note of document.querySelectorAll(".term-note")) {
    note.addEventListener("mouseenter", () => clearTimeout(leaving));
    note.addEventListener("mouseleave", hideSoon);
  }
  document.addEventListener("pointerdown", (event) => {
    if (shown && !event.target.closest(".term-note, a[aria-describedby^='note-term-']")) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
