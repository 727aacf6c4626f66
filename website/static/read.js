// Marks what was read and answered (lab/touch/ask.js). It stays in this browser; a button forgets it.
{
  const key = "nnkit-answers";
  const isRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const remembered = () => {
    try {
      const all = JSON.parse(localStorage.getItem(key));
      if (isRecord(all)) return all;
    } catch {
      // Storage is closed, or holds something else.
    }
    return {};
  };
  const keep = (all) => {
    try {
      if (all) localStorage.setItem(key, JSON.stringify(all));
      else localStorage.removeItem(key);
    } catch {
      // Then nothing is kept.
    }
    show();
  };
  const chapter = ({ pathname }) => /\/part\d+-[^/]+\/0*(\d+)-[^/]+\.html$/.exec(pathname)?.[1];
  const here = chapter(location);
  const isHome = /\/(index\.html)?$/.test(location.pathname);
  const make = (tag, given, ...children) => {
    const made = Object.assign(document.createElement(tag), given);
    made.append(...children);
    return made;
  };
  const ring = ({ read, check, asked }) => {
    const answered = isRecord(check) ? Object.keys(check).length : 0;
    const whole = asked >= answered ? asked : answered;
    const said = [read && "read", answered && `${answered} of ${whole} answered`].filter(Boolean).join(", ");
    if (!said) return "";
    const made = make("span", { className: "nnkit-mark", title: said }, make("span", {}, ` (${said})`));
    made.toggleAttribute("data-read", !!read);
    made.style.setProperty("--share", `${(100 * answered) / (whole || 1)}%`);
    return made;
  };
  const show = () => {
    const all = remembered();
    for (const mark of document.querySelectorAll("a > .nnkit-mark")) mark.remove();
    for (const link of document.querySelectorAll(isHome ? ".bd-links a, article table a" : ".bd-links a")) {
      const record = all[chapter(link)];
      if (!isRecord(record)) continue;
      link.classList.add("nnkit-marked");
      link.append(ring(record));
    }
  };
  show();
  window.addEventListener("storage", show);
  window.addEventListener(key, show);

  const end = document.querySelector("article > section")?.lastElementChild;
  if (here && end)
    new IntersectionObserver(([{ isIntersecting }], watch) => {
      if (!isIntersecting) return;
      watch.disconnect();
      const all = remembered();
      keep({ ...all, [here]: { ...(isRecord(all[here]) && all[here]), read: true } });
    }).observe(end);

  const first = isHome && document.querySelector("article table a[href*='/01-']");
  if (first) {
    const said = make("p", { role: "status" });
    const onclick = () => {
      keep(null);
      said.textContent = "Forgotten: your browser keeps no answers and no marks of this book.";
    };
    const forget = make("button", { className: "nnkit-forget", onclick }, "Forget my answers and marks");
    const table = first.closest("table");
    (table.closest(".pst-scrollable-table-container") ?? table).after(forget, said);
  }
}
