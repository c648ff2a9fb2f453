// A table: a press on a title sorts by it, and the values can be saved as CSV.
const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text, ...more });
const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function compared(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

function render({ model, el }) {
  const order = { column: -1, down: false };

  function sorted() {
    const values = model.get("values");
    const indices = values.map((_, index) => index);
    if (order.column < 0) return indices;
    const sign = order.down ? -1 : 1;
    return indices.sort((i, j) => sign * compared(values[i][order.column], values[j][order.column]));
  }

  function head(title, column) {
    const cell = make("th", "", { scope: "col" });
    const shown = title.replaceAll("-", "\u2011"); // a hyphen at which no line breaks, so that ROUGE-1 stays whole
    const press = make("button", shown || " ", { type: "button" });
    press.setAttribute("aria-label", `sort by ${title || "name"}`);
    press.addEventListener("click", () => {
      order.down = order.column === column ? !order.down : typeof model.get("values")[0]?.[column] === "number";
      order.column = column;
      show();
      el.querySelectorAll("th button")[column].focus();
    });
    if (order.column === column) {
      cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      press.textContent = `${shown} ${order.down ? "▾" : "▴"}`;
    }
    cell.append(press);
    return cell;
  }

  function save() {
    const lines = [model.get("titles"), ...sorted().map((index) => model.get("values")[index])];
    const text = lines.map((line) => line.map((value) => quoted(String(value ?? ""))).join(",")).join("\n");
    const link = make("a", "", { download: model.get("file") });
    link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function show() {
    if (!model.get("titles").length) return el.replaceChildren();
    const table = make("table", "", { className: "labkit-table" });
    if (model.get("caption")) table.append(make("caption", model.get("caption")));
    const top = table.createTHead().insertRow();
    top.append(...model.get("titles").map(head));
    const body = table.createTBody();
    for (const index of sorted()) {
      const line = body.insertRow();
      model.get("cells")[index].forEach((text, column) => {
        const number = typeof model.get("values")[index][column] === "number";
        line.append(make(column ? "td" : "th", text, { className: number ? "number" : "", scope: column ? "" : "row" }));
      });
    }
    const frame = make("div", "", { className: "labkit-table-frame" });
    frame.append(table);
    if (model.get("file")) {
      const press = make("button", "Save as CSV", { type: "button", className: "labkit-save" });
      press.addEventListener("click", save);
      frame.append(press);
    }
    el.replaceChildren(frame);
  }

  model.on("change:values change:caption", show);
  show();
  return () => model.off("change:values change:caption", show);
}

export default { render };
