// Shows the definition of a glossary term while its link is hovered over or has the focus. It can be entered with the
// mouse, and Escape puts it away (WCAG 1.4.13). Screen readers read it as the description of the link.
{
  let shown = null;
  let leaving = 0;

  const hide = () => {
    clearTimeout(leaving);
    shown?.classList.remove("shown");
    shown = null;
  };
  const hideSoon = () => {
    clearTimeout(leaving);
    leaving = setTimeout(hide, 200);
  };
  const show = (link) => {
    const note = document.getElementById(link.getAttribute("aria-describedby"));
    clearTimeout(leaving);
    if (note === shown) return;
    hide();
    document.body.append(note); // Out of whatever clips or moves it.
    note.classList.add("shown");
    shown = note;
    const place = link.getClientRects()[0];
    const { width, height } = note.getBoundingClientRect();
    const right = document.documentElement.clientWidth - width - 8;
    const below = place.bottom + 4 + height <= document.documentElement.clientHeight || place.top < height + 4;
    note.style.left = `${scrollX + Math.max(8, Math.min(place.left, right))}px`;
    note.style.top = `${scrollY + (below ? place.bottom + 4 : place.top - height - 4)}px`;
  };

  for (const link of document.querySelectorAll("a[aria-describedby^='note-term-']")) {
    link.addEventListener("mouseenter", () => show(link));
    link.addEventListener("mouseleave", hideSoon);
    link.addEventListener("focus", () => show(link));
    link.addEventListener("blur", hideSoon);
  }
  for (const note of document.querySelectorAll(".term-note")) {
    note.addEventListener("mouseenter", () => clearTimeout(leaving));
    note.addEventListener("mouseleave", hideSoon);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
}
