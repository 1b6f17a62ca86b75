/* Ticking Multipass means two passes, so it opens and ticks Hires. fix as well. Unticking leaves Hires. fix alone. */
(function() {
    function follow() {
        var multipass = gradioApp().querySelector('#script_multipass_enabled-checkbox input');
        if (!multipass || multipass.dataset.multipass) {
            return;
        }
        multipass.dataset.multipass = 'followed';
        multipass.addEventListener('input', function() {
            var hires = gradioApp().querySelector('#txt2img_hr-checkbox input');
            if (multipass.checked && hires && !hires.checked) {
                inputAccordionChecked('txt2img_hr', true);
            }
        });
    }

    onUiLoaded(follow);
}());
