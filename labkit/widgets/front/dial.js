// A slider and a number box that show the same value.

function render({ model, el }) {
  const id = `labkit-dial-${Math.random()}`; // a count would not do: every dial loads this file anew
  const label = Object.assign(document.createElement("label"), { htmlFor: id });
  const slider = Object.assign(document.createElement("input"), { type: "range" });
  const box = Object.assign(document.createElement("input"), { type: "number", id });
  const frame = document.createElement("div");
  frame.className = "labkit-dial";
  frame.append(label, slider, box);
  el.append(frame);

  const show = () => {
    label.textContent = model.get("label");
    slider.setAttribute("aria-label", `${model.get("label")}, slider`);
    for (const input of [slider, box]) {
      input.min = model.get("low");
      input.max = model.get("high");
      input.step = model.get("step");
      input.disabled = model.get("disabled");
    }
    slider.value = model.get("value");
    if (document.activeElement !== box) box.value = model.get("value");
  };
  const turn = (text) => {
    const value = Number(text);
    if (text === "" || !Number.isFinite(value)) return;
    model.set("value", Math.min(Math.max(value, model.get("low")), model.get("high")));
    model.save_changes();
  };
  slider.addEventListener("input", () => turn(slider.value));
  box.addEventListener("input", () => turn(box.value));
  box.addEventListener("blur", show);
  model.on("change", show);
  show();
  return () => model.off("change", show);
}

export default { render };
