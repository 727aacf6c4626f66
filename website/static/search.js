// The search: its field, its results and its keys. What finds them is asked for when a reader first searches, as
// scripts, which works from a folder too: lunr, the index, and the ranking (search-engine.js).
{
  const root = document.documentElement.dataset.content_root || "./";
  const MOST = 20; // Results that are shown in the dialog.
  const HOW = "Results appear as you type. The arrow keys move through them, and Enter opens one.";
  let ready = null;

  const load = (name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${root}_static/${name}`;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${name} cannot be loaded`));
      document.head.append(script);
    });
  const prepare = () => {
    ready ||= Promise.all([load("lunr/lunr.min.js"), load("search-index.js")])
      .then(() => load("search-engine.js"))
      .then(() => window.bookSearch);
    ready.catch(() => (ready = null)); // To be tried again at the next letter.
    return ready;
  };

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const link = (href, ...said) => make("a", { href }, ...said);

  const result = (hit, excerpt) => {
    const said = [make("span", { className: "hit-heading" }, hit.heading)];
    if (hit.heading !== hit.title) said.push(" ", make("span", { className: "hit-page" }, hit.title));
    const pieces = excerpt.map(([piece, asked]) => (asked ? make("mark", {}, piece) : piece));
    const item = make("li", {}, link(root + hit.page + hit.anchor, ...said));
    if (excerpt.length > 1) item.append(make("p", {}, ...pieces));
    return item;
  };

  const summary = (hits, shown) => {
    if (!hits.length) return "Nothing is found.";
    const pages = new Set(hits.map((hit) => hit.page)).size;
    const count = `${hits.length} ${hits.length > 1 ? "sections" : "section"} on ${pages} ${pages > 1 ? "pages" : "page"}`;
    return shown < hits.length ? `${count}, the first ${shown} here.` : `${count}.`;
  };

  const advice = () =>
    make(
      "li",
      {},
      make("p", {}, "Try fewer or other words, or look here:"),
      link(`${root}book/appendix/glossary.html`, "Glossary"),
      link(`${root}genindex.html`, "Index of names in the code"),
      link(`${root}book/index.html`, "All chapters"),
    );

  // Put the results of a field below it, at each letter.
  const showBelow = (field, place, most) => {
    const status = make("p", { className: "search-summary" }, HOW);
    status.setAttribute("role", "status");
    const list = make("ul", { className: "book-hits" });
    list.setAttribute("aria-label", "Results");
    place.classList.add("book-found");
    place.append(status, list);
    let turn = 0;
    const put = (said, ...items) => {
      if (status.textContent !== said) status.textContent = said;
      list.replaceChildren(...items);
    };
    const show = async () => {
      const mine = (turn += 1);
      const asked = field.value.trim();
      if (!asked) return put(HOW);
      try {
        const { search, excerpt } = await prepare();
        if (mine !== turn) return; // Another letter has come.
        const hits = search(asked);
        const items = hits.slice(0, most).map((hit) => result(hit, excerpt(hit, asked)));
        if (items.length < hits.length)
          items.push(make("li", {}, link(`${root}search.html?q=${encodeURIComponent(asked)}`, "All results")));
        put(summary(hits, Math.min(most, hits.length)), ...(hits.length ? items : [advice()]));
      } catch (error) {
        put(`The search does not work: ${error.message}.`, advice());
      }
    };
    return { list, show };
  };

  // The arrows go from the field through the results and back; Enter goes to the first one, and there opens it.
  const moveByKeys = (form, field, list, show) => {
    const links = () => [...list.querySelectorAll("a")];
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show().then(() => links()[0]?.focus());
    });
    form.parentElement.addEventListener("keydown", (event) => {
      const all = [field, ...links()];
      const at = all.indexOf(document.activeElement);
      if (at < 0 || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, ...(at && { Home: 1, End: all.length - 1 }) }[event.key];
      if (all[to]) {
        event.preventDefault();
        all[to].focus();
      } else if (event.key === "Escape" && at) {
        event.preventDefault();
        const dialog = form.closest("dialog");
        if (dialog) dialog.close();
        else field.focus();
      }
    });
  };

  const start = (form, place, most) => {
    const field = form.querySelector("input[name=q]");
    const { list, show } = showBelow(field, place, most);
    field.addEventListener("input", show);
    field.addEventListener("focus", () => field.closest("dialog") && prepare().catch(() => {}));
    moveByKeys(form, field, list, show);
    return { field, list, show };
  };

  const dialog = document.querySelector("#pst-search-dialog");
  if (dialog) {
    dialog.setAttribute("aria-label", "Search");
    const place = make("div", {});
    dialog.append(place);
    const { list } = start(dialog.querySelector("form"), place, MOST);
    // A result may be on this page.
    list.addEventListener("click", (event) => event.target.closest("a") && dialog.close());
  }

  const results = document.querySelector("#search-results");
  if (results) {
    const { field, show } = start(document.querySelector(".bd-search-container form"), results, Infinity);
    field.value = new URLSearchParams(location.search).get("q") || "";
    show();
    // So that one finds the results again on the way back. A browser may not allow it for a file.
    field.addEventListener("input", () => {
      const asked = field.value.trim();
      try {
        history.replaceState(null, "", asked ? `?q=${encodeURIComponent(asked)}` : location.pathname);
      } catch {}
    });
  }
}
