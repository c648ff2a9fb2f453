// Draws the charts of a page, with the plotly.js that lies beside this file.

const charts = document.querySelectorAll(".chart");
if (charts.length) {
  const plotly = document.createElement("script");
  plotly.src = new URL("plotly.min.js", document.currentScript.src);
  plotly.onload = () => {
    for (const chart of charts) {
      const { data, layout } = JSON.parse(chart.querySelector("script").textContent);
      Plotly.newPlot(chart, data, layout, { displaylogo: false, responsive: true });
    }
  };
  document.head.append(plotly);
}
