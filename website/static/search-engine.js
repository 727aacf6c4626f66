// The ranking of the search. It is asked for, with lunr and the index, when a reader searches; see search.js.
//
// lunr finds the sections in which the words stand. Which page comes first is decided by what names a thing in the
// book: the title of a chapter, a term of the glossary, a heading, a name in nnkit.
window.bookSearch = (async () => {
  "use strict";
  const { lunr, bookIndex } = window;
  const LONGEST = 200; // Letters of a question that are read, and the most words.
  const MOST_WORDS = 12;
  const LONGEST_WORD = 30; // Longer ones are no slips, and would keep lunr busy for minutes.
  const MOST_LETTERS = 240; // Of an excerpt.
  const SHORT = 90; // Letters of a sentence that takes the next one with it.

  // British and American spelling are one.
  const spelled = (word) =>
    word.length < 6
      ? word
      : word.replace(/our(?=s?$|ed$|ing$)/, "or").replace(/is(?=(e[ds]?|ing|ations?|ers?)$)/, "iz");
  const known = new Map();
  const stem = (word) => {
    if (!known.has(word)) known.set(word, lunr.stemmer(new lunr.Token(spelled(word))).toString());
    return known.get(word);
  };
  const stemmed = (token) => token.update(stem);
  lunr.Pipeline.registerFunction(stemmed, "stemmed");
  const plain = (text) => text.toLowerCase().normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, " ").trim();
  const stems = (text) => plain(text).split(" ").filter(Boolean).map(stem);
  const contentOf = (words) => {
    const content = words.filter((word) => lunr.stopWordFilter(word));
    return content.length ? content : words;
  };
  const joined = (text) => stems(text).join(""); // "mini-batch", "mini batch" and "minibatch" are one.

  // Exercises and the like use a thing that another section has built.
  const ASIDE = /^(Exercises|Further reading|Take-aways|Reported and measured|Break it|Lab: )/;
  const sections = bookIndex.sections.map((one) => ({
    ...one,
    aside: ASIDE.test(one.heading),
    chapter: one.page.includes("/part"),
  }));
  const builder = new lunr.Builder();
  builder.ref("at");
  for (const [name, boost] of Object.entries({ heading: 4, defines: 3, title: 2, text: 1 }))
    builder.field(name, { boost });
  builder.pipeline.add(lunr.stopWordFilter, stemmed);
  for (const [at, { aside, chapter, heading, defines, title, text, more }] of sections.entries()) {
    const boost = (chapter ? 3 : 1) * (aside ? 0.4 : 1);
    const [first, second, third, rest] = [heading, defines, title, `${text} ${more}`].map(plain);
    builder.add({ at, heading: first, defines: second, title: third, text: rest }, { boost });
    if (at % 20 === 19) await new Promise((done) => setTimeout(done)); // A letter may have been typed.
  }
  const index = builder.build();
  const isKnown = (word) => index.query((query) => query.term(word)).length > 0;

  const titles = bookIndex.titles.map(([title, page]) => [title.split(" and ").map(stems), page]);
  const terms = bookIndex.terms.map(([name, ...pages]) => [stems(name), pages]);
  const headings = sections.map((section) => stems(section.heading));
  const texts = new Map();
  const textOf = (section) => {
    if (!texts.has(section)) texts.set(section, stems(`${section.heading} ${section.defines} ${section.text}`));
    return texts.get(section);
  };
  const synonyms = new Map(Object.entries(bookIndex.synonyms).map(([theirs, ours]) => [joined(theirs), ours]));
  // "mini-batch" and "minibatch" are one, as the book writes it.
  const called = [...titles.flatMap(([parts]) => parts), ...terms.map(([words]) => words)];
  const written = new Map(called.map((words) => [words.join(""), words]));

  const endsWith = (words, asked) => words.slice(-asked.length).join(" ") === asked.join(" ");
  const holds = (words, asked) => asked.every((one) => words.includes(one));
  const follow = (words, asked) => ` ${words.join(" ")} `.includes(` ${asked.join(" ")} `);

  // Whether a chapter has a thing in its text, not only in an exercise.
  const isBuiltOn = (page, words) =>
    sections.some((one) => one.page === page && !one.aside && follow(textOf(one), words));

  // What a page gets because something on it is called so. A title counts most: it ends with what its chapter is about.
  const named = (asked) => {
    const bonus = new Map();
    const give = (page, points) => bonus.set(page, Math.max(bonus.get(page) || 0, points));
    for (const [words, pages] of terms)
      pages.forEach((page, i) => {
        if (words.join() === asked.join()) give(page, (i ? 2 : 3) * (isBuiltOn(page, words) ? 1 : 0.5));
        else if (!i && words.join(" ").startsWith(asked.join(" "))) give(page, 0.9);
        else if (words.length < asked.length && follow(asked, words)) give(page, endsWith(asked, words) ? 1 : 0.5);
      });
    const withHeading = sections.filter((one, i) => one.chapter && one.anchor && holds(headings[i], asked));
    for (const page of new Set(withHeading.map((one) => one.page))) bonus.set(page, (bonus.get(page) || 0) + 1.5);
    for (const [parts, page] of titles)
      if (parts.some((words) => endsWith(words, asked))) give(page, 4);
      else if (parts.some((words) => holds(words, asked))) give(page, 1.5);
    return bonus;
  };

  // A question of several words, with those that the book calls by another name replaced: "SVM kernel", "kNN votes".
  const translated = (asked) => {
    for (let length = asked.length - 1; length > 0; length -= 1)
      for (let from = 0; from + length <= asked.length; from += 1) {
        const ours = synonyms.get(asked.slice(from, from + length).join(""));
        if (ours) return [...asked.slice(0, from), ...stems(ours), ...asked.slice(from + length)];
      }
    return [];
  };

  // What is asked, as stems; the same in the words of the book; and the last word as far as it is typed.
  const meant = (text) => {
    const typed = plain(text.slice(0, LONGEST)).split(" ").filter(Boolean).slice(0, MOST_WORDS);
    const asked = typed.map(stem);
    const whole = asked.join("");
    const ours = stems(synonyms.get(whole) || "");
    return {
      asked: written.get(whole) || asked,
      ours: ours.length ? ours : translated(asked),
      unfinished: typed.at(-1) || "",
    };
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
        if (word.length >= 5 && word.length <= LONGEST_WORD) query.term(word, { editDistance: 1, boost: 5 });
        if (word.length >= 3) query.term(beginning(word), { wildcard: lunr.Query.wildcard.TRAILING, boost: 2 });
      }
      if (unfinished.length >= 3) query.term(unfinished, { wildcard: lunr.Query.wildcard.TRAILING, boost: 0.1 });
    });

  // How much of what is asked for is among some words; the last word may be unfinished.
  const shareOf = (words, asked, unfinished) => {
    const begun = unfinished.length >= 3 && words.some((word) => word.startsWith(unfinished));
    const has = (one, i) => words.includes(one) || (begun && i === asked.length - 1);
    return asked.filter(has).length / asked.length;
  };

  // How well a section fits: lunr's score, the more so the more of the words it has, and if they follow each other.
  const fit = ({ ref, score, matchData }, asked, best, unfinished) => {
    const share = shareOf(Object.keys(matchData.metadata), asked, unfinished);
    const phrase = asked.length > 1 && share === 1 && follow(textOf(sections[ref]), asked);
    const points = (score / best) * (0.3 + 0.7 * share);
    return { points: points + (phrase ? (sections[ref].aside ? 0.4 : 1) : 0), whole: share === 1 };
  };

  // What is found of each page, with the points of each section.
  const pagesOf = ({ asked, ours, unfinished }, weight) => {
    const [ask, our] = [contentOf(asked), contentOf(ours)];
    const hits = hitsOf([...new Set([...ask, ...our])], unfinished);
    const pages = new Map();
    for (const hit of hits) {
      const section = sections[hit.ref];
      const direct = fit(hit, ask, hits[0].score, unfinished);
      const other = our.length ? fit(hit, our, hits[0].score, unfinished) : { points: 0, whole: false };
      if (!pages.has(section.page)) pages.set(section.page, { points: 0, found: [], whole: false });
      const page = pages.get(section.page);
      page.found.push({ section, points: Math.max(direct.points, weight * other.points) });
      page.whole ||= direct.whole || other.whole;
    }
    for (const page of pages.values()) page.found.sort((a, b) => b.points - a.points);
    return pages;
  };

  // Sections, best first: the pages in their order, and the best three of each.
  const search = (text) => {
    const question = meant(text);
    const { asked, ours } = question;
    if (!asked.length) return [];
    // If the book has the word that is asked for, another one for it only says what to see as well.
    const weight = written.has(asked.join("")) ? 0.6 : 0.9;
    const pages = pagesOf(question, weight);
    const [direct, other] = [named(asked), named(ours.length ? ours : asked)];
    for (const [name, page] of pages)
      page.points = page.found[0].points + Math.max(direct.get(name) || 0, weight * (other.get(name) || 0));
    for (const [name, page] of bookIndex.code) {
      if (name.toLowerCase() !== text.trim().toLowerCase()) continue;
      const first = { section: sections.find((one) => one.page === page), points: 0 };
      if (!pages.has(page)) pages.set(page, { points: 0, found: [first] });
      Object.assign(pages.get(page), { points: pages.get(page).points + 2.5, whole: true });
    }
    const sorted = [...pages.values()].sort((a, b) => b.points - a.points);
    // What has only a part of what is asked for is shown where nothing fits much better.
    return sorted
      .filter((page) => page.whole || page.points > 0.3 * sorted[0].points)
      .flatMap((page) => page.found.slice(0, 3).map(({ section }) => section));
  };

  // The sentence that has most of the words, in pieces: words have odd places, and say whether they were asked for.
  const excerpt = (section, text) => {
    const { asked, ours, unfinished } = meant(text);
    const sought = new Set(contentOf([...asked, ...ours]));
    const isAsked = (word) =>
      stems(word).some((one) => sought.has(one)) || (unfinished.length > 2 && plain(word).startsWith(unfinished));
    const pieces = (sentence) => sentence.split(/([\p{L}\p{N}]+)/u);
    // A whole statement says more than "What does it do?"
    const worth = (sentence) =>
      new Set(pieces(sentence).filter((piece, i) => i % 2 && isAsked(piece)).map(joined)).size +
      (sentence.length > 50 ? 0.5 : 0) +
      (sentence.endsWith("?") ? 0 : 0.25);
    const sentences = section.text.split("\n"); // An empty one is left out, since it cannot be read here.
    const worths = sentences.map((one) => (one ? worth(one) : -1));
    const at = worths.indexOf(Math.max(...worths));
    const next = sentences[at].length < SHORT && sentences[at + 1];
    const said = clipped((next ? `${sentences[at]} ${next}` : sentences[at]) || introduction(section.page));
    return pieces(said).map((piece, i) => [piece, i % 2 === 1 && isAsked(piece)]);
  };

  const introduction = (page) =>
    bookIndex.questions[page] || sections.find((one) => one.page === page && one.text)?.text.split("\n")[0] || "";
  const clipped = (sentence) =>
    sentence.length <= MOST_LETTERS ? sentence : `${sentence.slice(0, sentence.lastIndexOf(" ", MOST_LETTERS))} …`;
  return { search, excerpt };
})();
