/* The panel of Multipass. Every change on the page that its plan depends on arrives as an event from the components
   (lib_multipass/page/planline.py); when they have settled, the plan is asked for by a click on a hidden button. */
(function() {
    var ID = 'script_multipass_';
    var DELAY = 250; // ms without a further change before the plan is asked for
    var STORED = [1500, 6000]; // ms after which it is stored, on a busy computer too
    var PATIENCE = 10000; // ms after which an answer is not waited for any longer
    var BUSY = ['txt2img_interrupt', 'txt2img_skip', 'img2img_interrupt', 'img2img_skip']; // shown during a job
    var FOLDED = 'Everything here is as in the first pass.';
    var GOVERNED = 'Multipass chooses the hires checkpoint while it is ticked.';

    var timer = null;
    var askedAt = 0; // 0 once the answer is here
    var stale = true; // the line does not show the page's state
    var ticked = false;
    var generating = false;
    var byHand = false; // somebody is just clicking the panel's title, or pressing a key on it

    function find(id) {
        return gradioApp().querySelector('#' + id);
    }

    function part(name) {
        return find(ID + name);
    }

    function titleOf(accordion) {
        return accordion.querySelector('.label-wrap');
    }

    /* Reload UI empties the page before it loads it again. */
    function isThere() {
        return !!part('enabled-checkbox');
    }

    function isTicked() {
        return part('enabled-checkbox').querySelector('input').checked;
    }

    function isOpen(accordion) {
        return titleOf(accordion).classList.contains('open');
    }

    function isGenerating() {
        return BUSY.some(function(id) {
            var button = find(id);
            return button && getComputedStyle(button).display !== 'none';
        });
    }

    function isTyping() {
        return document.activeElement && document.activeElement.tagName === 'TEXTAREA';
    }

    function ask() {
        var waiting = Date.now() - askedAt < PATIENCE;
        if (stale && !waiting && isThere() && isTicked() && isOpen(part('enabled')) && !isGenerating() && !isTyping()) {
            stale = false;
            askedAt = Date.now();
            part('ask').click();
        }
    }

    function askSoon() {
        clearTimeout(timer);
        timer = setTimeout(ask, DELAY);
    }

    function onChanged() {
        stale = true;
        askSoon();
        setTimeout(follow); // the tick itself is drawn after the event
    }

    /* Another checkpoint is selected at the top; Forge Neo stores it a little later. */
    function onSelected() {
        onChanged();
        STORED.forEach(function(later) {
            setTimeout(onChanged, later);
        });
    }

    function onAnswered() {
        askedAt = 0;
        if (isThere()) {
            mark();
        }
        askSoon();
    }

    /* What the answer says about the panel's own controls. */
    function mark() {
        var answer = part('plan').querySelector('[data-changed]');
        var changed = answer ? answer.dataset.changed : '';
        var missing = answer ? answer.dataset.missing : '';
        part('settings').classList.toggle('multipass-changed', changed !== '');
        titleOf(part('settings')).title = changed ? 'Changed: ' + changed + '.' : FOLDED;
        ['checkpoint', 'adetailer', 'vae'].forEach(function(name) {
            part(name).querySelector('input').setAttribute('aria-invalid', String(name === missing));
        });
    }

    /* What the tick means for the rest of the page. */
    function follow() {
        if (!isThere()) {
            return;
        }
        ticked = isTicked();
        part('enabled').classList.toggle('multipass-off', !ticked);
        gradioApp().querySelectorAll('#hr_checkpoint').forEach(function(control) {
            if (control.classList.contains('multipass-governed') !== ticked) {
                control.classList.toggle('multipass-governed', ticked);
                control.title = ticked ? GOVERNED : '';
            }
        });
    }

    function foldOut(accordion) {
        if (!isOpen(accordion)) {
            titleOf(accordion).click();
        }
    }

    /* Ticking Multipass means two passes, so it opens and ticks Hires. fix too. Unticking leaves Hires. fix alone. */
    function tickHires() {
        var hires = find('txt2img_hr-checkbox');
        if (hires && !hires.querySelector('input').checked) {
            inputAccordionChecked('txt2img_hr', true);
            setTimeout(function() {
                foldOut(find('txt2img_hr'));
            });
        }
    }

    /* From 1.7.0 a click on the box in the title ticks and does not fold out. What has to be chosen must be seen. */
    function leadToCheckpoint() {
        var field = part('checkpoint').querySelector('input');
        if (field.value === '') {
            setTimeout(function() {
                foldOut(part('enabled'));
                setTimeout(function() { // once it is drawn
                    field.focus();
                });
            });
        }
    }

    function onTick() {
        if (isTicked() && !ticked) {
            ticked = true; // Forge Neo tells of one tick twice
            tickHires();
            if (byHand) { // not by a paste
                leadToCheckpoint();
            }
        }
        onChanged();
    }

    /* What it does to the tick it does before anything else happens. */
    function onHand(event) {
        if (event.isTrusted) {
            byHand = true;
            setTimeout(function() {
                byHand = false;
            });
        }
    }

    /* The webui's own way from its Checkpoints tab to the setting. */
    function select(name) {
        if (name) {
            selectCheckpoint(name);
            onSelected();
        }
    }

    /* The line is written anew with every answer, so its button is listened for from outside. */
    function onPlanClick(event) {
        var button = event.target.closest('[data-select]');
        if (button) {
            part('plan').tabIndex = -1; // the keyboard goes on from here when the button is gone
            part('plan').focus();
            select(button.dataset.select);
        }
    }

    function onGeneration() {
        if (generating && !isGenerating()) {
            stale = true; // what lies where, and what there is to tell of the last job
        }
        generating = isGenerating();
        if (isThere()) {
            part('swap').disabled = isGenerating();
        }
        askSoon();
    }

    function watchAttribute(element, name, callback) {
        new MutationObserver(callback).observe(element, {attributes: true, attributeFilter: [name]});
    }

    /* An accordion's title is no button to the keyboard and to screen readers. */
    function makeButton(title) {
        function tell() {
            title.setAttribute('aria-expanded', String(title.classList.contains('open')));
        }

        title.tabIndex = 0;
        title.setAttribute('role', 'button');
        title.addEventListener('keydown', function(event) {
            if (event.target === title && (event.key === 'Enter' || event.key === ' ')) {
                event.preventDefault();
                title.click();
            }
        });
        watchAttribute(title, 'class', tell);
        tell();
    }

    function describe() {
        ['swap', 'refresh', 'release'].forEach(function(name) {
            part(name).setAttribute('aria-description', part(name).title);
        });
        part('swap').setAttribute('aria-label', 'Swap checkpoints');
        part('refresh').setAttribute('aria-label', 'Refresh checkpoints');
        part('plan').setAttribute('role', 'status');
        titleOf(part('settings')).title = FOLDED;
        makeButton(titleOf(part('settings')));
        if (!titleOf(part('enabled')).querySelector('input')) {
            makeButton(titleOf(part('enabled')));
        }
    }

    onUiLoaded(function() {
        var panel = part('enabled');
        if (!panel || panel.dataset.multipass) {
            return;
        }
        panel.dataset.multipass = 'connected';
        ['click', 'keydown'].forEach(function(name) {
            titleOf(panel).addEventListener(name, onHand, true);
        });
        describe();
        follow();
        part('enabled-checkbox').querySelector('input').addEventListener('input', onTick);
        part('plan').addEventListener('click', onPlanClick);
        watchAttribute(titleOf(panel), 'class', askSoon);
        BUSY.map(find).filter(Boolean).forEach(function(button) {
            watchAttribute(button, 'style', onGeneration);
        });
        gradioApp().addEventListener('focusout', askSoon);
        document.addEventListener('multipass:changed', onChanged);
        document.addEventListener('multipass:selected', onSelected);
        document.addEventListener('multipass:answered', onAnswered);
        document.addEventListener('multipass:select', function(event) {
            select(event.detail);
        });
        onOptionsChanged(onChanged);
        askSoon();
    });
}());
