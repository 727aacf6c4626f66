for (const root of document.querySelectorAll("#ID:not([data-ready])")) {
  root.dataset.ready = "true";
  // A site keeps the frames in a file of their own, `source`, which comes when the reader comes near.
  const { names, sizes, source, ...data } = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  let frames = data.frames;
  const inputs = [...root.querySelectorAll("input")];
  const outputs = [...root.querySelectorAll("output")];
  const texts = inputs.map((input) => JSON.parse(input.dataset.texts));
  const image = root.querySelector("img");
  const readout = root.querySelector(".nnkit-lab-readout");
  const show = () => {
    const at = inputs.map((input) => Number(input.value));
    at.forEach((value, i) => {
      outputs[i].textContent = texts[i][value];
      inputs[i].setAttribute("aria-valuetext", texts[i][value]);
    });
    if (!frames) return load();
    const [picture, text] = frames[at.reduce((index, value, i) => index * sizes[i] + value, 0)];
    image.src = picture;
    image.alt = text;
    readout.textContent = text;
  };
  const load = () => {
    if (frames || root.dataset.frames) return;
    root.dataset.frames = "coming";
    const script = document.createElement("script");
    script.src = source;
    script.onload = () => {
      frames = window.nnkitFrames[source.split("/").pop()];
      root.dataset.frames = "there";
      show();
    };
    script.onerror = () => {
      delete root.dataset.frames;
      readout.textContent = "The pictures of this lab cannot be loaded. Move a slider to try again.";
    };
    document.head.append(script);
  };
  const restore = () => {
    const start = "#" + root.id + "?";
    if (!location.hash.startsWith(start)) return false;
    const wanted = new URLSearchParams(location.hash.slice(start.length));
    names.forEach((name, i) => {
      const value = texts[i].indexOf(wanted.get(name));
      if (value >= 0) inputs[i].value = value;
    });
    show();
    return true;
  };
  inputs.forEach((input) =>
    input.addEventListener("input", () => {
      show();
      const state = new URLSearchParams(names.map((name, i) => [name, texts[i][inputs[i].value]]));
      try {
        history.replaceState(history.state, "", "#" + root.id + "?" + state);
      } catch {
        // Some hosts forbid it; the sliders work all the same.
      }
    }),
  );
  window.addEventListener("hashchange", restore);
  root.querySelector(".nnkit-lab-controls").hidden = false;
  root.querySelector(".nnkit-lab-static").hidden = true;
  if (restore()) root.scrollIntoView();
  else if (frames) show();
  else {
    root.addEventListener("focusin", load);
    new IntersectionObserver(([entry]) => entry.isIntersecting && load(), { rootMargin: "600px" }).observe(root);
  }
}
