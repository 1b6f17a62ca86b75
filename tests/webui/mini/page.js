// What extensions expect of the page, and the ticks of the input accordions.
const uiLoaded = [], uiUpdate = [], optionsChanged = [];
let desiredCheckpointName = "";

function gradioApp() {
    const host = document.querySelector("gradio-app");
    return host && host.shadowRoot ? host.shadowRoot : document;
}
function onUiLoaded(callback) { uiLoaded.push(callback); }
function onUiUpdate(callback) { uiUpdate.push(callback); }
const onAfterUiUpdate = onUiUpdate;
function onOptionsChanged(callback) { optionsChanged.push(callback); }
function optionsHaveChanged() { optionsChanged.forEach((callback) => callback()); }

// What the cards of checkpoints call.
function selectCheckpoint(name) {
    desiredCheckpointName = name;
    gradioApp().querySelector("#change_checkpoint").click();
}

// While a job runs, the buttons that end it stand there.
function showSubmitButtons(tab, idle) {
    ["interrupt", "skip"].forEach((name) => {
        gradioApp().querySelector(`#${tab}_${name}`).style.display = idle ? "none" : "block";
    });
}
function submit(...values) {
    showSubmitButtons("txt2img", false);
    return values;
}

function showTooltips() {
    window.gradio_config.components.forEach(({ props }) => {
        const element = props.webui_tooltip && props.elem_id && document.getElementById(props.elem_id);
        if (element) element.title = props.webui_tooltip;
    });
}
uiLoaded.push(showTooltips);

// The Python side calls this when the hidden checkbox changes.
function inputAccordionChecked(id, on) {
    accordions[id](on);
}

// The old host has no tick in the label: open is ticked. In the new one open and ticked go together until somebody
// clicks the tick itself; from then on each goes its own way. Either tells the hidden checkbox, even of nothing new.
const accordions = {};
function drawTick(accordion) {
    const label = accordion.querySelector(".label-wrap");
    const hidden = gradioApp().querySelector(`#${accordion.id}-checkbox input`);
    if (!label || !hidden || accordion.dataset.ticked) return;
    accordion.dataset.ticked = "yes";
    const isOpen = () => label.classList.contains("open");
    let together = true;
    const tell = (on) => {
        if (tick) tick.checked = on;
        hidden.checked = on;
        hidden.dispatchEvent(new Event("input", { bubbles: true }));
    };
    accordions[accordion.id] = (on) => {
        if (together && isOpen() !== on) label.click();
        if (tick) tell(on);
    };
    const tick = window.miniatureIsOld ? null : document.createElement("input");
    if (tick) {
        tick.type = "checkbox";
        tick.id = `${accordion.id}-visible-checkbox`;
        tick.className = "input-accordion-checkbox";
        tick.checked = isOpen();
        tick.addEventListener("click", (event) => {
            together = false;
            event.stopPropagation();
        });
        tick.addEventListener("input", () => tell(tick.checked));
        label.querySelector("span").prepend(tick);
    }
    new MutationObserver(() => {
        if (together) tell(isOpen());
    }).observe(label, { attributes: true, attributeFilter: ["class"] });
}

document.addEventListener("DOMContentLoaded", () => {
    let loaded = false;
    new MutationObserver((changes) => {
        gradioApp().querySelectorAll(".input-accordion").forEach(drawTick);
        if (!loaded && gradioApp().querySelector("#txt2img_prompt")) {
            loaded = true;
            uiLoaded.forEach((callback) => callback());
        }
        uiUpdate.forEach((callback) => callback(changes));
    }).observe(gradioApp(), { childList: true, subtree: true });
});
