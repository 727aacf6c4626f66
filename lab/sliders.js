for (const root of document.querySelectorAll("#ID:not([data-ready])")) {
  root.dataset.ready = "true";
  // A site keeps the frames in a file of their own, `source`, which is loaded when the reader comes near.
  const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const inputs = [...root.querySelectorAll("input")];
  const outputs = root.querySelectorAll("output");
  const names = Object.keys(data.texts);
  const texts = Object.values(data.texts);
  const picture = root.querySelector(".nnkit-lab-picture");
  const readout = root.querySelector(".nnkit-lab-readout");
  let frames;
  const show = () => {
    let index = 0;
    inputs.forEach((input, i) => {
      const text = texts[i][input.value];
      outputs[i].textContent = text;
      input.setAttribute("aria-valuetext", text);
      index = index * texts[i].length + Number(input.value);
    });
    if (!frames) return load();
    const [drawn, sentence] = frames[index];
    picture.innerHTML = drawn;
    picture.setAttribute("aria-label", sentence);
    readout.textContent = sentence;
  };
  const unpack = async (packed) => {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    frames = JSON.parse(await new Response(stream).text());
    root.dataset.frames = "there";
    show();
  };
  const load = () => {
    if (root.dataset.frames) return;
    root.dataset.frames = "coming";
    if (data.frames) return unpack(data.frames);
    const script = document.createElement("script");
    script.src = data.source;
    script.onload = () => unpack(window.nnkitFrames[data.source.split("/").pop()]);
    script.onerror = () => {
      delete root.dataset.frames;
      readout.textContent = "The pictures of this lab cannot be loaded. Move a slider to try again.";
    };
    document.head.append(script);
  };
  const restore = () => {
    const [id, state] = location.hash.slice(1).split("?");
    if (id !== root.id || state === undefined) return false;
    for (const [name, text] of new URLSearchParams(state)) {
      const i = names.indexOf(name);
      if (i >= 0 && texts[i].includes(text)) inputs[i].value = texts[i].indexOf(text);
    }
    show();
    return true;
  };
  const keep = () => {
    const state = new URLSearchParams(names.map((name, i) => [name, texts[i][inputs[i].value]]));
    try {
      history.replaceState(history.state, "", `#${root.id}?${state}`);
    } catch {
      // Some hosts forbid it; the sliders work all the same.
    }
  };
  // A button runs along its slider, from the start if it stands at the end, until it is pressed again.
  const buttons = [...root.querySelectorAll(".nnkit-lab-controls button")];
  let running = -1;
  let timer = 0;
  const say = (i, verb) => buttons[i].setAttribute("aria-label", `${verb} ${names[i].replaceAll("_", " ")}`);
  const stop = () => {
    clearInterval(timer);
    if (running < 0) return;
    say(running, "Play");
    delete buttons[running].dataset.runs;
    running = -1;
    readout.setAttribute("aria-live", "polite");
    keep();
  };
  const step = () => {
    if (!frames) return load();
    inputs[running].stepUp();
    show();
    if (inputs[running].value === inputs[running].max) stop();
  };
  buttons.forEach((button, i) =>
    button.addEventListener("click", () => {
      const again = running === i;
      stop();
      if (again) return;
      running = i;
      say(i, "Pause");
      button.dataset.runs = "true";
      readout.setAttribute("aria-live", "off"); // Nobody could listen to a sentence for each picture.
      if (inputs[i].value === inputs[i].max) inputs[i].value = 0;
      show();
      timer = setInterval(step, 700);
    }),
  );
  root.addEventListener("input", () => {
    stop();
    show();
    keep();
  });
  window.addEventListener("hashchange", restore);
  root.querySelector(".nnkit-lab-controls").hidden = false;
  root.querySelector(".nnkit-lab-static").hidden = true;
  if (restore()) root.scrollIntoView();
  else if (data.frames) load();
  else {
    root.addEventListener("focusin", load);
    new IntersectionObserver(([entry]) => entry.isIntersecting && load(), { rootMargin: "600px" }).observe(root);
  }
}
