from django.db import migrations, models


def date_known(apps, schema_editor):
    """What is known already was known when the shown record was measured, as far as anybody can tell."""
    states = apps.get_model("fleet", "VehicleState").objects
    states.filter(latitude_deg__isnull=False).update(place_time=models.F("time"))
    states.filter(battery_percent__isnull=False).update(battery_time=models.F("time"))


class Migration(migrations.Migration):

    dependencies = [
        ('fleet', '0007_trips_and_scenarios'),
    ]

    operations = [
        migrations.AddField(
            model_name='vehiclestate',
            name='battery_time',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='vehiclestate',
            name='place_time',
            field=models.DateTimeField(help_text='When the last known place was measured.', null=True),
        ),
        migrations.RunPython(date_known, migrations.RunPython.noop),
    ]
