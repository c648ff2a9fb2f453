// A panel's heading. It also keeps JupyterLab's keys out of the panel: with the focus on a slider, a list or a button
// JupyterLab would take an arrow for "next cell" and D D for "delete this cell".

function render({ model, el }) {
  el.append(Object.assign(document.createElement("h3"), { textContent: model.get("text") }));
  const keep = (event) => {
    const command = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
    const panel = el.closest(".labkit-panel");
    if (!command && panel?.contains(event.target)) event.stopPropagation();
  };
  document.body.addEventListener("keydown", keep); // the last stop before JupyterLab's own listener
  return () => document.body.removeEventListener("keydown", keep);
}

export default { render };
