// The search: lunr and the index are asked for when a reader first searches, as scripts, which works from a folder too.
(() => {
  "use strict";
  const root = document.documentElement.dataset.content_root || "./";
  let ready = null;

  const load = (name) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${root}_static/${name}`;
      script.onload = resolve;
      script.onerror = () => reject(new Error(name));
      document.head.append(script);
    });

  const prepare = () => {
    ready ||= Promise.all([load("lunr/lunr.js"), load("search-index.js")]).then(() => {
      const { sections, builds } = window.bookIndex;
      return window.lunr(function () {
        this.ref("at");
        this.field("builds", { boost: 12 });
        this.field("title", { boost: 6 });
        this.field("heading", { boost: 4 });
        this.field("text");
        sections.forEach((section, at) => {
          const terms = section.anchor ? "" : (builds[section.page] || []).join(" ");
          this.add({ at, builds: terms, ...section }, { boost: section.page.includes("/part") ? 3 : 1 });
        });
      });
    });
    return ready;
  };

  const plain = (words) => words.toLowerCase().replace(/[-–]/g, " ").replace(/\s+/g, " ").trim();

  // Sections, best first; each page shows its best three, and stands where its best and its terms put it.
  const search = async (asked) => {
    const index = await prepare();
    const { sections, synonyms, builds } = window.bookIndex;
    const words = plain(asked);
    let phrase = words;
    for (const [theirs, ours] of Object.entries(synonyms)) if (plain(theirs) === words) phrase = plain(ours);
    const terms = [...new Set(`${words} ${phrase}`.split(" "))].filter(Boolean);
    if (!terms.length) return [];
    const hits = index.query((query) => {
      for (const term of terms) {
        query.term(window.lunr.tokenizer(term), { boost: 10 });
        if (term.length > 2) query.term(term, { wildcard: window.lunr.Query.wildcard.TRAILING, usePipeline: false });
      }
    });
    const pages = new Map();
    for (const { ref, score } of hits) {
      const section = sections[ref];
      const page = pages.get(section.page) || { score, found: [] };
      page.found.push(section);
      pages.set(section.page, page);
    }
    for (const [name, page] of pages)
      if ((builds[name] || []).some((term) => plain(term) === phrase)) page.score += 1000;
    return [...pages.values()].sort((a, b) => b.score - a.score).flatMap((page) => page.found.slice(0, 3));
  };
  window.bookSearch = search;

  const excerpt = (text, asked) => {
    const at = Math.max(0, text.toLowerCase().indexOf(asked.toLowerCase()));
    const from = at < 60 ? 0 : text.indexOf(" ", at - 60) + 1;
    return `${from ? "… " : ""}${text.slice(from, from + 180)}${text.length > from + 180 ? " …" : ""}`;
  };

  const attach = (form, place) => {
    const field = form.querySelector("input[name=q]");
    const status = document.createElement("p");
    status.className = "search-summary";
    status.setAttribute("role", "status");
    const list = document.createElement("ul");
    list.className = "book-hits";
    place.classList.add("book-found");
    place.append(status, list);
    const show = async () => {
      const asked = field.value.trim();
      const hits = asked ? await search(asked) : [];
      if (asked !== field.value.trim()) return;
      list.replaceChildren(
        ...hits.slice(0, 20).map((hit) => {
          const item = document.createElement("li");
          const link = document.createElement("a");
          link.href = root + hit.page + hit.anchor;
          link.textContent = hit.heading === hit.title ? hit.title : `${hit.title}: ${hit.heading}`;
          const text = document.createElement("p");
          text.textContent = excerpt(hit.text, asked);
          item.append(link, text);
          return item;
        }),
      );
      status.textContent = asked ? (hits.length ? `${hits.length} sections found.` : "Nothing found.") : "";
    };
    field.addEventListener("input", show);
    field.addEventListener("focus", prepare, { once: true });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show().then(() => list.querySelector("a")?.focus());
    });
    return { field, show };
  };

  const start = () => {
    const dialog = document.querySelector("#pst-search-dialog");
    if (dialog) {
      const place = document.createElement("div");
      dialog.append(place);
      attach(dialog.querySelector("form"), place);
    }
    const results = document.querySelector("#search-results");
    if (results) {
      const { field, show } = attach(document.querySelector(".bd-search-container form"), results);
      field.value = new URLSearchParams(location.search).get("q") || "";
      show();
    }
  };
  start();
})();
