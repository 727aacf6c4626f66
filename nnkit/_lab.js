for (const root of document.querySelectorAll("#ID:not([data-ready])")) {
  root.dataset.ready = "true";
  const { names, sizes, frames } = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const inputs = [...root.querySelectorAll("input")];
  const outputs = [...root.querySelectorAll("output")];
  const texts = inputs.map((input) => JSON.parse(input.dataset.texts));
  const image = root.querySelector("img");
  const readout = root.querySelector(".nnkit-lab-readout");
  const show = () => {
    const at = inputs.map((input) => Number(input.value));
    const [source, text] = frames[at.reduce((index, value, i) => index * sizes[i] + value, 0)];
    at.forEach((value, i) => {
      outputs[i].textContent = texts[i][value];
      inputs[i].setAttribute("aria-valuetext", texts[i][value]);
    });
    image.src = source;
    image.alt = text;
    readout.textContent = text;
  };
  const restore = () => {
    const [id, query] = decodeURIComponent(location.hash).split("?");
    if (id !== "#" + root.id || query === undefined) return false;
    const wanted = new URLSearchParams(query);
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
  else show();
}
