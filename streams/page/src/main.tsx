import "ol/ol.css";
import "./page.css";

import { render } from "preact";

import { App } from "./App.tsx";
import { Desk } from "./desk.ts";

render(<App desk={new Desk()} />, document.getElementById("page") as HTMLElement);
