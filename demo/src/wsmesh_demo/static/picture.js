// Draws the cluster: this page, HAProxy, and the nodes by location, with the way of this page's connection.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 236;
const NARROWEST = 280;

function add(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function box(svg, x, y, width, title, below, kind) {
  add(svg, "rect", { x: x - width / 2, y: y - 22, width, height: 44, rx: 9, class: `box ${kind}` });
  // Many nodes leave little room: first the second line goes, then the name.
  if (width > 62) add(svg, "text", { x, y: y + 14, class: "small" }, below);
  if (width > 24) add(svg, "text", { x, y: width > 62 ? y - 2 : y + 5 }, title);
}

/** One word for a node's state, from what HAProxy and the registry say. */
export function standing(node) {
  if (node.haproxy === "up") return node.state === "draining" ? "draining" : "up";
  if (node.haproxy === "draining" || node.state === "draining") return "draining";
  return "down";
}

export function draw(svg, nodes, here) {
  svg.querySelectorAll(":scope > :not(desc)").forEach((old) => old.remove());
  const places = [...new Set(nodes.map((node) => node.location))];
  const ordered = places.flatMap((place) => nodes.filter((node) => node.location === place));
  const total = Math.max(NARROWEST, svg.clientWidth);
  svg.setAttribute("viewBox", `0 0 ${total} ${HEIGHT}`);
  const middle = total / 2;
  const step = total / Math.max(ordered.length, 1);
  const width = Math.min(110, step - Math.min(14, step / 4));
  const x = new Map(ordered.map((node, i) => [node.id, step * (i + 0.5)]));
  for (const node of ordered) {
    const kind = `${node.id === here ? "here" : ""} ${standing(node) === "down" ? "gone" : ""}`;
    add(svg, "path", { d: `M${middle} 112 C${middle} 145 ${x.get(node.id)} 125 ${x.get(node.id)} 158`, class: `link ${kind}` });
  }
  add(svg, "path", { d: `M${middle} 46 V68`, class: `link ${here ? "here" : "gone"}` });
  box(svg, middle, 24, 130, "This page", "pusher-js", here ? "here" : "");
  box(svg, middle, 90, 130, "HAProxy", "TLS", "");
  for (const node of ordered) {
    const state = standing(node);
    const below = state === "up" ? `${node.connections} ${node.connections === 1 ? "client" : "clients"}` : state;
    box(svg, x.get(node.id), 180, width, node.id, below, `${state} ${node.id === here ? "here" : ""}`);
  }
  let left = 0;
  for (const place of places) {
    const members = ordered.filter((node) => node.location === place).length;
    add(svg, "rect", { x: left + 3, y: 150, width: members * step - 6, height: 82, rx: 12, class: "group" });
    add(svg, "text", { x: left + (members * step) / 2, y: 222, class: "small" }, place);
    left += members * step;
  }
  const told = ordered.map((node) => `${node.id} in ${node.location} is ${standing(node)}`).join(", ");
  svg.querySelector("desc").textContent = `HAProxy and the nodes behind it: ${told}. This page is on ${here ?? "none"}.`;
}
