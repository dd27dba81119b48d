// A table of our own templates, with boxes, heads that sort, filters, pages, keys.
// The page is made by the kernel and is safe HTML; here only controls are added to
// it, and what a person does is told. All text goes in as text.

function made(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function keyed(node, key) {
  node.dataset.key = key;
  return node;
}

// Redraw without losing the focus, what is being typed, or how far it was scrolled.
function keeping(el, draw) {
  const active = el.contains(document.activeElement) ? document.activeElement : null;
  const key = active?.dataset.key;
  const typed = active?.type === "search" ? active.value : null;
  const caret = typed === null ? null : [active.selectionStart, active.selectionEnd];
  const place = active?.closest("tr")?.sectionRowIndex ?? 0;
  const scroll = el.querySelector(".ermpoll-scroll");
  const at = scroll && [scroll.scrollLeft, scroll.scrollTop];
  draw();
  const scrolled = el.querySelector(".ermpoll-scroll");
  if (at && scrolled) [scrolled.scrollLeft, scrolled.scrollTop] = at;
  if (!active || el.contains(document.activeElement) && active.isConnected) return;
  const boxes = [...el.querySelectorAll("tbody input[type=checkbox]")];
  const found = key && el.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const target = found && !found.disabled
    ? found : boxes[Math.min(place, boxes.length - 1)] || scrolled;
  if (typed !== null && target === found) target.value = typed;
  target?.focus({ preventScroll: true });
  if (caret && target === found) target.setSelectionRange(...caret);
}

function render({ model, el }) {
  el.classList.add("ermpoll-sheet");
  const tell = (what, more = {}) => model.send({ do: what, ...more });
  const bar = made("div", { className: "ermpoll-sheet-bar" });
  const note = made("p", { className: "ermpoll-warn" });
  const body = made("div");
  el.append(bar, note, body);
  let filtering = false, row = 0, last = null, waiting = null;

  const field = (key, label, hint, value, changed) => {
    const input = keyed(made("input", {
      type: "search", value, placeholder: hint, title: hint, spellcheck: false,
    }), key);
    input.setAttribute("aria-label", label);
    const send = () => {
      clearTimeout(waiting);
      if (input.value !== input.dataset.sent) changed(input.value);
      input.dataset.sent = input.value;
    };
    input.dataset.sent = value;
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(send, 250);
    });
    input.addEventListener("change", send);
    return input;
  };
  const button = (key, text, title, done, pressed) => {
    const one = keyed(made("button", { type: "button", textContent: text, title }), key);
    if (pressed !== undefined) one.setAttribute("aria-pressed", String(pressed));
    one.addEventListener("click", done);
    return one;
  };

  const drawBar = () => {
    const now = model.get("bar");
    note.textContent = now.note || "";
    note.hidden = !now.note;
    const chips = (now.chips || []).map((chip) => {
      const one = button(`chip:${chip.key}`, chip.text, chip.title || "",
        () => tell("chip", { key: chip.key }), chip.on);
      one.className = `ermpoll-chip ermpoll-${chip.tone || "mut"}`;
      if (chip.line) one.classList.add("ermpoll-line");
      return one;
    });
    const groups = [];
    if (now.tools !== false) groups.push(
      field("search", "Search", "Search (/)", now.search || "", (text) => tell("search", { text })),
      button("filters", "Filters", "Ask something of each column (f)", () => {
        filtering = !filtering;
        keeping(el, () => { drawBar(); drawBody(); });
      }, filtering),
    );
    if (chips.length) {
      const group = made("span", { className: "ermpoll-chips", role: "group" }, ...chips);
      group.setAttribute("aria-label", now.chipsLabel || "Show");
      groups.push(group);
    }
    const picks = made("span", { className: "ermpoll-mut", textContent: now.picked || "" });
    groups.push(made("span", { className: "ermpoll-mut", textContent: now.count || "" }), picks);
    if (now.all) groups.push(button("all", now.all, "All that match, on every page (Shift+A)",
      () => tell("tick_all")));
    if (now.picked) groups.push(button("clear", "Clear", "Tick none", () => tell("clear")));
    if (now.before || now.more) {
      const turn = (key, text, step, can) => {
        const one = button(key, text, "", () => tell("turn", { step }));
        one.disabled = !can;
        return one;
      };
      groups.push(made("span", { className: "ermpoll-pages" },
        turn("first", "First", 0, now.before), turn("previous", "Previous", -1, now.before),
        turn("next", "Next", 1, now.more)));
    }
    bar.replaceChildren(...groups);
  };

  const drawTicks = () => {
    const ticked = new Set(model.get("ticked"));
    const boxes = [...body.querySelectorAll("tbody input[data-rid]")];
    for (const box of boxes) box.checked = ticked.has(box.dataset.rid);
    const head = body.querySelector("thead input[type=checkbox]");
    if (!head) return;
    const on = boxes.filter((box) => box.checked).length;
    head.checked = boxes.length > 0 && on === boxes.length;
    head.indeterminate = on > 0 && on < boxes.length;
    head.disabled = !boxes.length;
  };
  const setTicks = (rids, on) => {
    const ticked = new Set(model.get("ticked"));
    for (const rid of rids) on ? ticked.add(rid) : ticked.delete(rid);
    model.set("ticked", [...ticked]);
    model.save_changes();
    drawTicks();
  };
  const rids = () => model.get("page").rids || [];

  const ticker = (line, rid, name) => {
    const box = keyed(made("input", { type: "checkbox", tabIndex: -1 }), `tick:${rid}`);
    box.dataset.rid = rid;
    box.setAttribute("aria-label", `select ${name}`);
    box.addEventListener("click", (event) => {
      const all = rids(), here = all.indexOf(rid), there = all.indexOf(last);
      const range = event.shiftKey && there >= 0
        ? all.slice(Math.min(here, there), Math.max(here, there) + 1) : [rid];
      last = rid;
      setTicks(range, box.checked);
    });
    box.addEventListener("focus", () => { row = line; roving(); });
    return made("td", { className: "ermpoll-tick" }, box);
  };
  const roving = () => {
    const boxes = [...body.querySelectorAll("tbody .ermpoll-row-key")];
    row = Math.max(0, Math.min(row, boxes.length - 1));
    boxes.forEach((box, place) => { box.tabIndex = place === row ? 0 : -1; });
    return boxes;
  };
  const opener = (rid, name, open) => {
    const one = button(`open:${rid}`, open ? "▾" : "▸", "Tell more (Enter)",
      () => tell("open", { rid }));
    one.className = "ermpoll-open";
    one.tabIndex = -1;
    one.setAttribute("aria-expanded", String(open));
    one.setAttribute("aria-label", `more of ${name}`);
    return one;
  };

  const drawHeads = (table, now) => {
    const line = table.tHead.rows[0];
    const cells = [...line.cells];
    const above = made("tr", { className: "ermpoll-filters" });
    cells.forEach((cell, place) => {
      const head = now.heads[place] || {};
      if (head.sort) {
        const arrow = { up: " ▲", down: " ▼" }[head.sorted] || "";
        const one = button(`sort:${head.name}`, cell.textContent + arrow, "Sort",
          () => tell("sort", { column: head.name }));
        cell.replaceChildren(one);
        const way = { up: "ascending", down: "descending" }[head.sorted] || "none";
        cell.setAttribute("aria-sort", way);
      }
      const asking = made("td");
      if (head.name) asking.append(field(`filter:${head.name}`, head.label, head.hint,
        head.filter || "", (text) => tell("filter", { column: head.name, text })));
      above.append(asking);
    });
    // what a button stands for (":why") is no field that somebody filled
    const asked = now.heads.some((head) => head.filter && !head.name.startsWith(":"));
    if (filtering || asked) table.tHead.append(above);
    if (!now.ticks) return;
    const all = keyed(made("input", { type: "checkbox" }), "shown");
    all.setAttribute("aria-label", "select all shown");
    all.title = "All that are shown (a)";
    all.addEventListener("click", () => setTicks(rids(), all.checked));
    line.prepend(made("td", { className: "ermpoll-tick" }, all));
    above.prepend(made("td"));
  };
  const drawBody = () => {
    const now = model.get("page");
    body.innerHTML = now.html || "";
    const table = body.querySelector("table");
    if (!table) return;
    drawHeads(table, now);
    const lines = [...table.tBodies[0].rows];
    lines.forEach((line, place) => {
      const rid = now.rids[place], name = now.names[place];
      const opened = now.details[rid];
      if (now.opens) line.querySelector("th")?.prepend(opener(rid, name, opened !== undefined));
      if (now.ticks) line.prepend(ticker(place, rid, name));
      line.querySelector(now.ticks ? "input" : ".ermpoll-open")?.classList
        .add("ermpoll-row-key");
      if (opened === undefined) return;
      const cell = made("td", { colSpan: 100 });
      cell.innerHTML = opened;
      line.after(made("tr", { className: "ermpoll-drawer" }, cell));
    });
    drawTicks();
    roving();
  };
  // What is cut by the width of its column is told on hover.
  body.addEventListener("mouseover", (event) => {
    const cell = event.target.closest?.("td, th");
    if (cell && cell.scrollWidth > cell.clientWidth && !cell.title)
      cell.title = cell.textContent.trim();
  });

  const go = (step) => {
    const boxes = roving();
    row = Math.max(0, Math.min(row + step, boxes.length - 1));
    roving();
    boxes[row]?.focus();
    boxes[row]?.scrollIntoView({ block: "nearest" });
  };
  const press = (event) => {
    const writing = event.target.type === "search";
    const now = model.get("bar"), page = model.get("page");
    const rid = rids()[row];
    if (writing) return event.key === "Escape" ? () => {
      event.target.value = "";
      event.target.dispatchEvent(new Event("change"));
      go(0);
    } : event.key === "ArrowDown" ? () => go(0) : undefined;
    const keys = {
      "/": () => bar.querySelector("input")?.focus(),
      ArrowDown: () => go(body.querySelector(".ermpoll-row-key:focus") ? 1 : 0),
      ArrowUp: () => go(-1),
      PageDown: now.more && (() => tell("turn", { step: 1 })),
      PageUp: now.before && (() => tell("turn", { step: -1 })),
      a: page.ticks && (() => body.querySelector("thead input[type=checkbox]").click()),
      A: now.all && (() => tell("tick_all")),
      f: () => bar.querySelector('[data-key="filters"]')?.click(),
      Enter: page.opens && event.target.matches(".ermpoll-row-key")
        && (() => tell("open", { rid })),
      Escape: page.details?.[rid] !== undefined && (() => tell("open", { rid })),
    };
    if ((now.keys || []).includes(event.key)) return () => tell("key", { key: event.key });
    return keys[event.key];
  };
  // Before JupyterLab, for whom arrows are commands as well.
  const onKey = (event) => {
    if (!el.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = press(event);
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  };
  window.addEventListener("keydown", onKey, true);

  // A redraw between press and release would take away what is clicked.
  let pressed = false;
  const held = new Set();
  const redraw = (draw) => pressed ? held.add(draw) : keeping(el, draw);
  const release = () => {
    pressed = false;
    held.forEach((draw) => keeping(el, draw));
    held.clear();
  };
  const onPress = () => { pressed = true; };
  // The click comes first. A release outside of the window is told by the next move.
  const onRelease = () => { if (pressed) setTimeout(release); };
  const onMove = (event) => { if (pressed && !event.buttons) release(); };
  el.addEventListener("pointerdown", onPress);
  window.addEventListener("pointerup", onRelease, true);
  window.addEventListener("pointercancel", onRelease, true);
  window.addEventListener("pointermove", onMove, true);

  const redrawBar = () => redraw(drawBar);
  const redrawBody = () => redraw(drawBody);
  model.on("change:bar", redrawBar);
  model.on("change:page", redrawBody);
  model.on("change:ticked", drawTicks);
  drawBar();
  drawBody();
  return () => {
    clearTimeout(waiting);
    window.removeEventListener("keydown", onKey, true);
    window.removeEventListener("pointerup", onRelease, true);
    window.removeEventListener("pointercancel", onRelease, true);
    window.removeEventListener("pointermove", onMove, true);
    model.off("change:bar", redrawBar);
    model.off("change:page", redrawBody);
    model.off("change:ticked", drawTicks);
  };
}
export default { render };
