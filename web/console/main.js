// The console: starts the page.
import "./main.css";
document.body.append("wsbridge");
