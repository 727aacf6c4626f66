// The host of the widgets: it brings each to life when a reader comes near, without a kernel or a server.
{
  const home = document.currentScript.src.replace(/_static\/touch\.js.*$/, "_touch/");
  const defined = new Map();
  const coming = new Map();
  const fetched = (address) => {
    if (!coming.has(address))
      coming.set(
        address,
        new Promise((arrived, failed) => {
          const script = document.createElement("script");
          script.src = address;
          script.onload = arrived;
          script.onerror = () => {
            coming.delete(address);
            script.remove();
            failed(new Error("A part of this widget cannot be loaded."));
          };
          document.head.append(script);
        }),
      );
    return coming.get(address);
  };
  const made = new Map();
  window.nnkitTouch = {
    data: {},
    define: (name, needs, make) => defined.set(name, { needs, make }),
  };
  const module = (name) => {
    if (!made.has(name)) made.set(name, load(name).catch((error) => (made.delete(name), Promise.reject(error))));
    return made.get(name);
  };
  const load = async (name) => {
    if (!defined.has(name)) await fetched(`${home}${name}.js`);
    const { needs, make } = defined.get(name);
    return make(...(await Promise.all(needs.map(module))));
  };

  // What anywidget gives a module in a notebook.
  class Model {
    constructor(state) {
      this.state = state;
      this.heard = new Map();
      this.saved = () => {};
    }
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      if (Object.is(this.state[name], value)) return;
      this.state[name] = value;
      for (const hear of [...(this.heard.get(`change:${name}`) ?? []), ...(this.heard.get("change") ?? [])]) hear();
    }
    save_changes() {
      this.saved();
    }
    on(event, hear) {
      this.heard.set(event, [...(this.heard.get(event) ?? []), hear]);
    }
    off(event = null, hear = null) {
      if (event === null) this.heard.clear();
      else this.heard.set(event, hear ? (this.heard.get(event) ?? []).filter((each) => each !== hear) : []);
    }
    send() {}
  }

  const query = (root) => {
    const [id, state] = location.hash.slice(1).split("?");
    return id === root.id && state !== undefined ? new URLSearchParams(state) : null;
  };

  const alive = async (root) => {
    if (root.dataset.state) return;
    root.dataset.state = "coming";
    const live = root.querySelector(".nnkit-touch-live");
    const shown = [...live.childNodes];
    try {
      const { state, source } = JSON.parse(root.querySelector("script[type='application/json']").textContent);
      const widget = module(root.dataset.touch);
      if (source) {
        await fetched(home + source);
        Object.assign(state, window.nnkitTouch.data[source]);
      }
      const { render, settings = {} } = await widget;
      const { accepted } = await module("parts");
      const model = new Model(state);
      const start = { ...state };
      const wrong = document.createElement("p");
      wrong.className = "nnkit-touch-wrong";
      wrong.setAttribute("role", "status");
      const restore = () => {
        const asked = query(root);
        if (!asked) return false;
        wrong.textContent = "";
        // What the address does not name is as it was at the start.
        const wanted = Object.fromEntries(Object.keys(settings).filter((name) => name in start).map((name) => [name, start[name]]));
        for (const [name, text] of asked) {
          try {
            wanted[name] = accepted(settings, name, text);
          } catch (error) {
            wrong.textContent += `${error.message} `;
          }
        }
        for (const [name, value] of Object.entries(wanted)) model.set(name, value);
        return true;
      };
      let writing = 0;
      const write = () => {
        writing = 0;
        const changed = Object.keys(settings).filter((name) => JSON.stringify(state[name]) !== JSON.stringify(start[name]));
        const said = new URLSearchParams(changed.map((name) => [name, state[name]]));
        if (!changed.length && !query(root)) return;
        try {
          history.replaceState(history.state, "", `#${root.id}?${said}`);
        } catch {
          // Some hosts forbid it; the widget works all the same.
        }
      };
      const came = restore();
      for (const button of root.querySelectorAll(".nnkit-touch-try")) {
        button.hidden = false;
        button.onclick = () => {
          const address = `#${root.id}?${button.dataset.state}`;
          if (location.hash === address) restore();
          else location.hash = address;
        };
      }
      model.saved = () => (writing ||= setTimeout(write, 300));
      window.addEventListener("hashchange", restore);
      live.replaceChildren();
      render({ model, el: live });
      if (shown.some((each) => each.className === "nnkit-touch-still")) {
        const printed = document.createElement("div"); // For paper.
        printed.className = "nnkit-touch-printed";
        printed.append(...shown);
        root.append(printed);
      }
      root.append(wrong);
      root.model = model;
      root.dataset.state = "alive";
      if (came) root.scrollIntoView();
    } catch (error) {
      live.replaceChildren(...shown);
      const said = live.querySelector(".nnkit-touch-static") ?? live.appendChild(document.createElement("p"));
      said.textContent = `${error.message} Press here to try again.`;
      said.setAttribute("role", "status");
      delete root.dataset.state;
      said.onclick = () => alive(root);
    }
  };

  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) alive(target);
    },
    { rootMargin: "600px" },
  );
  for (const root of document.querySelectorAll(".nnkit-touch[data-touch]")) {
    near.observe(root);
    root.addEventListener("focusin", () => alive(root));
    if (query(root)) alive(root);
  }
  window.addEventListener("hashchange", () => {
    for (const root of document.querySelectorAll(".nnkit-touch[data-touch]:not([data-state])")) if (query(root)) alive(root);
  });
}
