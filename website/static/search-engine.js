// The ranking of the search. It is asked for, with lunr and the index, when a reader searches; see search.js.
//
// lunr finds the sections in which the words stand. Which page comes first is decided by what names a thing in the book:
// the title of a chapter, a term of the glossary, a heading, a name in nnkit.
window.bookSearch = (() => {
  "use strict";
  const { lunr, bookIndex } = window;
  const LONGEST = 200; // Letters of a question that are read, and the most words.
  const MOST_WORDS = 12;
  const MOST_LETTERS = 240; // Of an excerpt.

  // British and American spelling are one.
  const spelled = (token) =>
    token.update((word) =>
      word.length < 6 ? word : word.replace(/our(?=s?$|ed$|ing$)/, "or").replace(/is(?=(e[ds]?|ing|ations?|ers?)$)/, "iz"),
    );
  lunr.Pipeline.registerFunction(spelled, "spelled");
  const plain = (text) => text.toLowerCase().normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, " ").trim();
  const stem = (word) => lunr.stemmer(spelled(new lunr.Token(word))).toString();
  const stems = (text) => plain(text).split(" ").filter(Boolean).map(stem);
  const joined = (text) => stems(text).join(""); // "mini-batch", "mini batch" and "minibatch" are one.

  // Exercises and the like use a thing that another section has built.
  const ASIDE = /^(Exercises|Further reading|Take-aways|Reported and measured|Break it|Lab: )/;
  const sections = bookIndex.sections.map((one) => ({ ...one, aside: ASIDE.test(one.heading), chapter: one.page.includes("/part") }));
  const index = lunr(function () {
    this.ref("at");
    this.field("heading", { boost: 4 });
    this.field("defines", { boost: 3 });
    this.field("title", { boost: 2 });
    this.field("text");
    this.pipeline.reset();
    this.pipeline.add(lunr.stopWordFilter, spelled, lunr.stemmer);
    this.searchPipeline.reset();
    sections.forEach(({ aside, chapter, heading, defines, title, text, more }, at) => {
      const boost = (chapter ? 3 : 1) * (aside ? 0.4 : 1);
      const [first, second, third, rest] = [heading, defines, title, `${text} ${more}`].map(plain);
      this.add({ at, heading: first, defines: second, title: third, text: rest }, { boost });
    });
  });
  const isKnown = (word) => index.query((query) => query.term(word)).length > 0;

  const titles = bookIndex.titles.map(([title, page]) => [title.split(" and ").map(stems), page]);
  const terms = bookIndex.terms.map(([name, ...pages]) => [stems(name), pages]);
  const headings = sections.map((section) => stems(section.heading));
  const synonyms = new Map(Object.entries(bookIndex.synonyms).map(([theirs, ours]) => [joined(theirs), ours]));
  // "mini-batch" and "minibatch" are one, as the book writes it.
  const written = new Map([...titles.flatMap(([parts]) => parts), ...terms.map(([words]) => words)].map((words) => [words.join(""), words]));

  const endsWith = (words, asked) => words.slice(-asked.length).join(" ") === asked.join(" ");
  const holds = (words, asked) => asked.every((one) => words.includes(one));
  const follow = (words, asked) => ` ${words.join(" ")} `.includes(` ${asked.join(" ")} `);

  // Whether a chapter has a thing in its text, not only in an exercise.
  const isBuiltOn = (page, words) =>
    sections.some((one) => one.page === page && !one.aside && follow(stems(`${one.heading} ${one.defines} ${one.text}`), words));

  // What a page gets because something on it is called so. A title counts most: it ends with what its chapter is about.
  const named = (asked) => {
    const bonus = new Map();
    const give = (page, points) => bonus.set(page, Math.max(bonus.get(page) || 0, points));
    for (const [words, pages] of terms)
      pages.forEach((page, i) => {
        if (words.join() === asked.join()) give(page, (i ? 2 : 3) * (isBuiltOn(page, words) ? 1 : 0.5));
        else if (words.length < asked.length && follow(asked, words)) give(page, endsWith(asked, words) ? 1 : 0.5);
      });
    const withHeading = sections.filter((one, i) => one.chapter && one.anchor && holds(headings[i], asked));
    for (const page of new Set(withHeading.map((one) => one.page))) bonus.set(page, (bonus.get(page) || 0) + 1.5);
    for (const [parts, page] of titles)
      if (parts.some((words) => endsWith(words, asked))) give(page, 4);
      else if (parts.some((words) => holds(words, asked))) give(page, 1.5);
    return bonus;
  };

  // What is asked, as stems; the same in the words of the book; and the last word as far as it is typed.
  const meant = (text) => {
    const typed = plain(text.slice(0, LONGEST)).split(" ").filter(Boolean).slice(0, MOST_WORDS);
    const asked = typed.map(stem);
    const whole = asked.join("");
    return { asked: written.get(whole) || asked, ours: stems(synonyms.get(whole) || ""), unfinished: typed.at(-1) || "" };
  };

  // The beginning of a word that is not known, as far as it is one: "vanishin" is nearly "vanish".
  const beginning = (word) => {
    const query = (start) => index.query((one) => one.term(start, { wildcard: lunr.Query.wildcard.TRAILING }));
    let start = word;
    while (start.length > Math.max(3, word.length * 0.6) && !query(start).length) start = start.slice(0, -1);
    return start;
  };

  const hitsOf = (words, unfinished) =>
    index.query((query) => {
      for (const word of words) {
        query.term(word, { boost: 10 });
        if (isKnown(word)) continue;
        if (word.length >= 5) query.term(word, { editDistance: 1, boost: 5 });
        if (word.length >= 3) query.term(beginning(word), { wildcard: lunr.Query.wildcard.TRAILING, boost: 2 });
      }
      if (unfinished.length >= 3) query.term(unfinished, { wildcard: lunr.Query.wildcard.TRAILING, boost: 0.1 });
    });

  // How well a section fits: lunr's score, the more so the more of the words it has, and if they follow each other.
  const fit = ({ ref, score, matchData }, asked, best) => {
    const words = Object.keys(matchData.metadata);
    const share = asked.filter((one) => words.includes(one)).length / asked.length;
    const phrase = asked.length > 1 && share === 1 && follow(stems(sections[ref].text), asked);
    return (score / best) * (0.3 + 0.7 * share) + (phrase ? 1 : 0);
  };

  // Sections, best first: the pages in their order, and the best three of each.
  const search = (text) => {
    const { asked, ours, unfinished } = meant(text);
    if (!asked.length) return [];
    const hits = hitsOf([...new Set([...asked, ...ours])], unfinished);
    // If the book has the word that is asked for, another one for it only says what to see as well.
    const weight = written.has(asked.join("")) ? 0.6 : 0.9;
    const pages = new Map();
    for (const hit of hits) {
      const { page } = sections[hit.ref];
      const other = ours.length ? weight * fit(hit, ours, hits[0].score) : 0;
      const points = Math.max(fit(hit, asked, hits[0].score), other);
      if (!pages.has(page)) pages.set(page, { points: 0, found: [] });
      pages.get(page).found.push({ section: sections[hit.ref], points });
    }
    for (const page of pages.values()) page.found.sort((a, b) => b.points - a.points);
    const [direct, other] = [named(asked), named(ours.length ? ours : asked)];
    for (const [name, page] of pages)
      page.points = page.found[0].points + Math.max(direct.get(name) || 0, weight * (other.get(name) || 0));
    for (const [name, page] of bookIndex.code)
      if (name.toLowerCase() === text.trim().toLowerCase() && pages.has(page)) pages.get(page).points += 2.5;
    const sorted = [...pages.values()].sort((a, b) => b.points - a.points);
    return sorted.flatMap((page) => page.found.slice(0, 3).map(({ section }) => section));
  };

  // The sentence that has most of the words, in pieces: words have odd places, and say whether they were asked for.
  const excerpt = (section, text) => {
    const { asked, ours, unfinished } = meant(text);
    const sought = new Set([...asked, ...ours]);
    const isAsked = (word) =>
      stems(word).some((one) => sought.has(one)) || (unfinished.length > 2 && plain(word).startsWith(unfinished));
    const pieces = (sentence) => sentence.split(/([\p{L}\p{N}]+)/u);
    // A whole statement says more than "What does it do?"
    const worth = (sentence) =>
      new Set(pieces(sentence).filter((piece, i) => i % 2 && isAsked(piece)).map(joined)).size +
      (sentence.length > 50 ? 0.5 : 0) +
      (sentence.endsWith("?") ? 0 : 0.25);
    const sentences = section.text.split("\n").filter(Boolean);
    const best = sentences.reduce((one, next) => (worth(next) > worth(one) ? next : one), sentences[0] || "");
    return pieces(clipped(best || introduction(section.page))).map((piece, i) => [piece, i % 2 === 1 && isAsked(piece)]);
  };

  const introduction = (page) =>
    bookIndex.questions[page] || sections.find((one) => one.page === page && one.text)?.text.split("\n")[0] || "";
  const clipped = (sentence) =>
    sentence.length <= MOST_LETTERS ? sentence : `${sentence.slice(0, sentence.lastIndexOf(" ", MOST_LETTERS))} …`;
  return { search, excerpt };
})();
